"""How many files the options of a command meet: `config` followed from a recipe through the calls it is handed to."""

import argparse
import ast
from collections import deque
from pathlib import Path

NAME = "config"
Place = tuple[Path, str]


class Checkout:
    """The functions of a checkout's package by file, and what each file imports from it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.trees = {path: ast.parse(path.read_text()) for path in (root / "edgekd").rglob("*.py")}
        self.functions = {
            (path, node.name): node
            for path, tree in self.trees.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef)
        }
        self.imported = {path: self._imports(tree) for path, tree in self.trees.items()}

    def _imports(self, tree: ast.Module) -> dict[str, Place]:
        found: dict[str, Place] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("edgekd"):
                path = self.root / str(node.module).replace(".", "/")
                for each in node.names:
                    module = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
                    found[each.asname or each.name] = (module, each.name)
        return found

    def files_from(self, start: Path) -> set[Path]:
        """Files whose functions or classes are handed `config`, or an object's `.config`, from those of `start`."""
        queue = deque(place for place in self.functions if place[0] == start)
        met, files = set(queue), {start}
        while queue:
            path, name = queue.popleft()
            for called in self._handed(path, self.functions[path, name]):
                files.add(called[0])
                if called in self.functions and called not in met:
                    met.add(called)
                    queue.append(called)
        return files

    def _handed(self, path: Path, function: ast.FunctionDef) -> set[Place]:
        """What a function calls with `config` among the arguments."""
        found = set()
        for node in ast.walk(function):
            if not isinstance(node, ast.Call) or not any(map(_is_config, _arguments(node))):
                continue
            target = node.func
            if isinstance(target, ast.Name):
                found.add(self.imported[path].get(target.id, (path, target.id)))
            elif isinstance(target, ast.Attribute):
                found.add((path, target.attr))
        return {place for place in found if place[0] in self.trees}


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _is_config(value: ast.expr) -> bool:
    """`config`, `lesson.config`, or either inside `replace(..)` and the like."""
    if isinstance(value, ast.Call):
        return any(map(_is_config, value.args))
    return (isinstance(value, ast.Name) and value.id == NAME) or (
        isinstance(value, ast.Attribute) and value.attr == NAME
    )


def main() -> None:
    """Print the number of files for each checkout, and the files if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", type=Path, nargs="+")
    parser.add_argument("--recipe", default="edgekd/recipes/distill.py")
    parser.add_argument("--list", action="store_true", help="name the files")
    asked = parser.parse_args()
    for root in asked.checkouts:
        checkout = Checkout(root.resolve())
        files = checkout.files_from(root.resolve() / asked.recipe)
        print(f"{root}: {len(files)} of {len(checkout.trees)} files")
        for file in sorted(files) if asked.list else ():
            print(f"  {file.relative_to(checkout.root)}")


if __name__ == "__main__":
    main()
