"""`edgekd distill --dry-run`: what a distillation would take."""
