#!/usr/bin/python3
"""Executes the notebooks of this folder, headless.

    execute.py [--keep] [NOTEBOOK...]

A cell that fails is an error; the cells themselves assert the numbers that matter. A notebook that needs a module that is not there is
skipped, with the reason. With --keep the outputs are written back into the files (the tools must be built: FIM_TOOLS or ../build).
"""
import glob
import importlib.util
import os
import re
import sys
import time

os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # a warning of the debugger that nobody runs here

import nbclient
import nbformat


def missing_modules(book):
    """What the cells import and this Python does not have."""
    source = "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")
    names = {name.strip().split(".")[0].split(" ")[0] for line in re.findall(r"^import (.+)$", source, re.M)
             for name in line.split(",")}
    return sorted(name for name in names if importlib.util.find_spec(name) is None)


def clean(book):
    """Outputs without complaints and what changes from run to run."""
    for cell in book.cells:
        cell.metadata = {}
        if cell.cell_type != "code":
            continue
        kept = []
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                continue
            if output.output_type == "stream" and kept and kept[-1].output_type == "stream":
                kept[-1].text += output.text  # it came line by line
            else:
                kept.append(output)
        cell.outputs = kept


def main():
    keep = "--keep" in sys.argv
    here = os.path.dirname(os.path.abspath(__file__))
    names = [a for a in sys.argv[1:] if a != "--keep"] or sorted(glob.glob(os.path.join(here, "*.ipynb")))
    failed = 0
    for path in names:
        book, name = nbformat.read(path, 4), os.path.basename(path)
        missing = missing_modules(book)
        if missing:
            print(f"skipped: {name}: needs the Python module{'s' * (len(missing) > 1)} {', '.join(missing)}")
            continue
        began = time.monotonic()
        try:
            nbclient.NotebookClient(book, timeout=300, kernel_name="python3",
                                    resources={"metadata": {"path": here}}).execute()
        except nbclient.exceptions.CellExecutionError as error:
            print(f"failed: {name}\n{error}")
            failed += 1
            continue
        print(f"ok: {name}, {time.monotonic() - began:.1f} s")
        if keep:
            clean(book)
            nbformat.write(book, path)
    return failed > 0


sys.exit(main())
