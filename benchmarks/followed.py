"""How many files the options of a command meet, followed from its recipe through the calls they are handed to.

A function or class meets them where one of its parameters or fields is of a type of edgekd/config.py, or of a type that
holds such a one (a job, a scene). Calls are followed by name, into functions and into all methods of classes.
"""

import argparse
import ast
from collections import deque
from pathlib import Path

Place = tuple[Path, str]
Unit = ast.FunctionDef | ast.ClassDef


class Checkout:
    """The functions and classes of a checkout's package by file, and what each file imports from it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.trees = {path: ast.parse(path.read_text()) for path in (root / "edgekd").rglob("*.py")}
        self.units: dict[Place, Unit] = {
            (path, node.name): node
            for path, tree in self.trees.items()
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }
        self.imported = {path: self._imports(tree) for path, tree in self.trees.items()}
        options = root / "edgekd" / "config.py"
        self.holders = {place for place in self.units if place[0] == options}
        self.holders |= {place for place, bound in self._variables() if bound & self.holders}
        while more := {place for place in self.units if place not in self.holders and self._holds(place)}:
            self.holders |= more
            self.holders |= {place for place, bound in self._variables() if bound & self.holders}

    def _imports(self, tree: ast.Module) -> dict[str, Place]:
        found: dict[str, Place] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("edgekd"):
                path = self.root / str(node.module).replace(".", "/")
                for each in node.names:
                    module = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
                    found[each.asname or each.name] = (module, each.name)
        return found

    def _variables(self) -> list[tuple[Place, set[Place]]]:
        """Type variables, and what bounds them."""
        return [
            ((path, node.targets[0].id), self._named(path, node.value))
            for path, tree in self.trees.items()
            for node in tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Call)
        ]

    def _named(self, path: Path, node: ast.AST) -> set[Place]:
        """The package's own functions and classes that are named somewhere in a piece of code."""
        names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        return {self.imported[path].get(name, (path, name)) for name in names}

    def _holds(self, place: Place) -> bool:
        """Whether a class has a field, or is made from a parameter, of options or of what holds them."""
        unit = self.units[place]
        if not isinstance(unit, ast.ClassDef):
            return False
        inits = [each for each in unit.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
        kinds = [each.annotation for each in unit.body if isinstance(each, ast.AnnAssign)]
        kinds += [each.annotation for init in inits for each in _parameters(init) if each.annotation]
        return any(self._named(place[0], each) & self.holders for each in [*kinds, *unit.bases])

    def _meets(self, place: Place) -> bool:
        unit = self.units[place]
        if isinstance(unit, ast.ClassDef):
            return place in self.holders
        kinds = [each.annotation for each in _parameters(unit) if each.annotation]
        return any(self._named(place[0], each) & self.holders for each in kinds)

    def files_from(self, start: Path) -> set[Path]:
        """Files of the functions and classes that options reach from those of `start`."""
        met = {place for place in self.units if place[0] == start}
        queue = deque(met)
        while queue:
            place = queue.popleft()
            called = {
                reached
                for node in ast.walk(self.units[place])
                if isinstance(node, ast.Call)
                for reached in self._named(place[0], node.func)
            }
            for each in called - met:
                if each in self.units and self._meets(each):
                    met.add(each)
                    queue.append(each)
        return {path for path, _ in met}


def _parameters(function: ast.FunctionDef) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


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
