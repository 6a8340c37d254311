"""An archive of many labels, all different, and of a few products that readers open: what travels with a generation."""

from __future__ import annotations

import random
from pathlib import Path

from archive import pds4
from archive.picture import Image
from archive.tree import Tree

PRODUCTS = 50
SHAPE = (64, 64)
PER_FOLDER = 1000
NEEDLE = "urn:nasa:pds:travel:data:needle"
"""What only one label names."""


def build(root: Path, labels: int) -> list[str]:
    """Fill ``root``; answers the paths of the products' labels. The same numbers give the same tree."""
    tree = Tree(root)
    bundle = pds4.Bundle("travel", "travel", "1.0", "What travels")
    where = pds4.collection(bundle, "data")
    products = []
    for number in range(PRODUCTS):
        values = [(number * 7 + n) % 4096 for n in range(SHAPE[0] * SHAPE[1])]
        products.append(pds4.raw_image(tree, where, f"img{number:04d}", Image(*SHAPE, values)))
    template = (root / products[0]).read_text()
    pds4.close(tree, bundle)
    tree.settle()
    rng = random.Random(17)
    for number in range(labels):
        folder = root / f"travel/labels/d{number // PER_FOLDER:04d}"
        if not number % PER_FOLDER:
            folder.mkdir(parents=True)
        name = f"l{number:07d}"
        (folder / f"{name}.xml").write_text(label(template, name, rng, needle=number == labels // 2))
    return products


def label(template: str, name: str, rng: random.Random, *, needle: bool = False) -> str:
    """A label in which everything differs that differs between real ones: identifiers, times, sizes, checksums,
    and some thirty measured numbers."""
    begun = f"20{rng.randrange(10, 26)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}T{rng.randrange(24):02d}"
    text = template.replace("img0000", name).replace("2021-04-02T03", begun)
    text = text.replace("<file_size", f"<comment>{rng.getrandbits(64):x}</comment>\n      <file_size")
    md5 = template.partition("<md5_checksum>")[2].partition("<")[0]
    text = text.replace(md5, f"{rng.getrandbits(128):032x}")
    rows = "".join(f'    <disp:value_{n} unit="deg">{rng.uniform(-180, 180):.9f}</disp:value_{n}>\n' for n in range(30))
    rest = f"  <Reference_List>\n{rows}  </Reference_List>\n" + (f"  <!-- {NEEDLE} -->\n" if needle else "")
    return text.replace("  <File_Area_Observational>", rest + "  <File_Area_Observational>")
