"""What lies where on the two exports.

pds-main/pds3       volumes, at several depths, upper and lower case
pds-main/pds4       bundles, with labels called .xml, .XML and .lblx
pds-main/catalina   nights of a survey, and one 200 MB image
pds-main/orex       } datasets of a mission: some on one export only, some on both, as they lie at an archive node
pds-mission/orex    } that received newer deliveries in a second place
pds-main/real       real data, where there is some (no part of this module)

orex.ocams   both; the mission's copy is 2.0, main's 1.0 has a product that 2.0 dropped: in a union it shines through
orex.ola     main has data_calibrated; the mission has data_calibrated_v2, another identifier that replaces it
orex.ovirs   main only          orex.tagcams   mission only
orex.maps    both, equal versions: one collection whose products are split over the two
orex.otes    mission 1.10; main keeps 1.9 (the lower one) under SUPERSEDED/
"""

from __future__ import annotations

from typing import Any

from archive import pds3, pds4
from archive.picture import Image, Spectrum, asteroid, spectrum
from archive.tree import Tree, noise

NIGHTS = {"21Apr02": "20210402", "21Apr03": "20210403", "21May10": "20210510"}
LARGE = (10_000, 20_000)
"""Lines and samples of one byte: 200 MB."""

Fact = dict[str, Any]


def _image_fact(kind: str, path: str, name: str, image: Image) -> Fact:
    shape = [image.lines, image.samples]
    # pdr 1.4 takes a label for one only when its suffix is in lower case
    readers = ["pdr"] if kind == "pds3" else ["pds4_tools"] if path.endswith(".XML") else ["pdr", "pds4_tools"]
    return {"kind": kind, "path": path, "object": name, "mean": image.mean, "shape": shape, "readers": readers}


def _table_fact(kind: str, path: str, name: str, column: str, table: Spectrum) -> Fact:
    readers = ["pdr"] if kind == "pds3" else ["pdr", "pds4_tools"]
    facts: Fact = {"kind": kind, "path": path, "object": name, "column": column, "mean": table.mean}
    return {**facts, "rows": len(table.rows), "readers": readers}


def volumes(tree: Tree) -> list[Fact]:
    """PDS3; returns what can be opened, and what it holds."""
    facts: list[Fact] = []
    camera = pds3.Volume("pds3/example_orbiter/EXCAM_0001", "EXCAM_0001", "EXO-A-CAM-3-RDR-V1.0", "CAMERA")
    made = []
    for n in range(4):
        picture = asteroid(f"excam {n}", 144, 160)
        write = pds3.attached_image if n % 2 == 0 else pds3.detached_image
        made.append(write(tree, camera, f"EXC{n:05d}", picture))
        facts.append(_image_fact("pds3", made[-1], "IMAGE", picture))
    pds3.close(tree, camera, made)

    lower = pds3.Volume("pds3/EXSPEC_0001", "EXSPEC_0001", "EXO-A-SPEC-3-RDR-V1.0", "SPECTROMETER", lower=True)
    made = []
    for n in range(5):
        table = spectrum(f"exspec {n}")
        made.append(pds3.table(tree, lower, f"EXS{n:05d}", table))
        facts.append(_table_fact("pds3", made[-1], "TABLE", "REFLECTANCE", table))
    pds3.close(tree, lower, made)

    for number, version in ((1, "1.0"), (2, "2.0")):
        name = f"EXTHM_000{number}"
        volume = pds3.Volume(f"pds3/{name}", name, f"EXO-A-THERM-4-MAP-V{version}", "THERMAL MAPPER")
        picture = asteroid(f"exthm {number}")
        path = pds3.attached_image(tree, volume, f"EXT{number:05d}", picture)
        facts.append(_image_fact("pds3", path, "IMAGE", picture))
        pds3.close(tree, volume, [path])
    return facts


def bundles(tree: Tree) -> list[Fact]:
    """PDS4; returns what can be opened, and what it holds."""
    facts: list[Fact] = []
    camera = pds4.Bundle("pds4/example.camera", "example.camera", "1.1", "Example camera")
    calibrated = pds4.collection(camera, "data_calibrated", "1.1")
    for n in range(4):
        picture = asteroid(f"camera {n}", 144, 160)
        suffix = ".XML" if n == 3 else ".xml"
        if n % 2 == 0:
            path = pds4.raw_image(tree, calibrated, f"cam_{n:04d}", picture, suffix)
        else:
            path = pds4.fits_image(tree, calibrated, f"CAM_{n:04d}", picture, suffix=suffix)
        facts.append(_image_fact("pds4", path, "image", picture))
    derived = pds4.collection(camera, "data_derived", "1.0")
    for n in range(2):
        table = spectrum(f"camera {n}")
        path = pds4.character_table(tree, derived, f"photometry_{n}", table)
        facts.append(_table_fact("pds4", path, "table", "reflectance", table))
    table = spectrum("camera csv")
    path = pds4.delimited_table(tree, derived, "summary", table)
    facts.append(_table_fact("pds4", path, "table", "reflectance", table))
    pds4.close(tree, camera)

    # a label that is not called bundle*, and the suffix that came with information model 1.16
    radar = pds4.Bundle("pds4/example_radar", "example_radar", "2.0", "Example radar", "radar", ".lblx")
    data = pds4.collection(radar, "Data", "2.0")
    picture = asteroid("radar")
    facts.append(_image_fact("pds4", pds4.raw_image(tree, data, "rad_0001", picture, ".lblx"), "image", picture))
    pds4.close(tree, radar, "EXAMPLE_Radar_2001")
    return facts


def catalina(tree: Tree) -> tuple[list[Fact], str]:
    """Nights of a sky survey; returns what can be opened, and the path of the large file."""
    facts: list[Fact] = []
    lid = "gbo.ast.catalina.survey"
    survey = pds4.Bundle(f"catalina/{lid}", lid, "1.0", "Catalina Sky Survey (generated)", "G96 telescope")
    data = pds4.collection(survey, "data_calibrated")
    for night, date in NIGHTS.items():
        folder = f"G96/20{night[:2]}/{night}"
        for n in range(1, 5):
            picture = asteroid(f"catalina {date} {n}", 64, 64)
            name = f"G96_{date}_2B_N{n:02d}001_01_000{n}.arch"
            path = pds4.fits_image(tree, data, name, picture, folder)
            facts.append(_image_fact("pds4", path, "image", picture))
    lines, samples = LARGE
    night, date = next(iter(NIGHTS.items()))
    pixels = noise("catalina large", lines * samples)
    folder = f"G96/20{night[:2]}/{night}"
    large = pds4.large_fits(tree, data, folder, f"G96_{date}_2B_MOSAIC_01_0001.arch", lines, samples, pixels)
    pds4.close(tree, survey)
    return facts, large


def _instrument(tree: Tree, top: str, lid: str, version: str, data: str, names: list[str]) -> list[Fact]:
    bundle = pds4.Bundle(f"{top}/{lid}", lid, version, f"OSIRIS-REx {lid[5:].upper()} (generated)", lid[5:])
    where = pds4.collection(bundle, data)
    facts = []
    for name in names:
        picture = asteroid(f"{lid} {version} {name}", 64, 80)
        facts.append(_image_fact("pds4", pds4.fits_image(tree, where, name, picture), "image", picture))
    pds4.close(tree, bundle)
    return facts


def mission_on_main(tree: Tree) -> list[Fact]:
    """OSIRIS-REx-like datasets on the older export."""
    common = ["ocams_20181101_001", "ocams_20181102_001", "ocams_20181103_001"]
    facts = _instrument(tree, "orex", "orex.ocams", "1.0", "data_calibrated", [*common, "ocams_20181031_old"])
    facts += _instrument(tree, "orex", "orex.ola", "1.0", "data_calibrated", ["ola_001", "ola_002"])
    facts += _instrument(tree, "orex", "orex.ovirs", "1.0", "data_raw", ["ovirs_001", "ovirs_002"])
    facts += _maps(tree, ["map_north", "map_south"])
    facts += _instrument(tree, "orex/SUPERSEDED", "orex.otes", "1.9", "data_calibrated", ["otes_001", "otes_002"])
    return facts


def mission_on_its_own(tree: Tree) -> list[Fact]:
    """OSIRIS-REx-like datasets on the newer export."""
    common = ["ocams_20181101_001", "ocams_20181102_001", "ocams_20181103_001"]
    facts = _instrument(tree, "orex", "orex.ocams", "2.0", "data_calibrated", [*common, "ocams_20200101_new"])
    facts += _instrument(tree, "orex", "orex.ola", "2.0", "data_calibrated_v2", ["ola_001", "ola_002"])
    facts += _instrument(tree, "orex", "orex.tagcams", "1.0", "data_raw", ["tagcams_001", "tagcams_002"])
    facts += _maps(tree, ["map_east", "map_west"])
    facts += _instrument(tree, "orex", "orex.otes", "1.10", "data_calibrated", ["otes_001", "otes_002"])
    return facts


def _maps(tree: Tree, here: list[str]) -> list[Fact]:
    """One collection whose inventory lists four products, of which two lie here."""
    bundle = pds4.Bundle("orex/orex.maps", "orex.maps", "1.0", "OSIRIS-REx maps (generated)")
    where = pds4.collection(bundle, "data_maps")
    facts = []
    for name in here:
        picture = asteroid(name, 64, 80)
        facts.append(_image_fact("pds4", pds4.fits_image(tree, where, name, picture), "image", picture))
    where.members[:] = [f"{where.urn}:map_{side}::1.0" for side in ("north", "south", "east", "west")]
    pds4.close(tree, bundle)
    return facts
