"""Parts of PDS4 labels: files, arrays, tables, inventories, as XML text.

Source: PDS4 information model 1.21.0.0, classes File, Array_2D_Image, Header, Table_Character, Table_Delimited,
Inventory.
"""

from __future__ import annotations

import hashlib

from archive.fits import BLOCK


def file(name: str, size: int, md5: str, records: int | None = None) -> str:
    """The File class; ``md5`` in hexadecimal."""
    count = f"\n      <records>{records}</records>" if records is not None else ""
    return f"""\
    <File>
      <file_name>{name}</file_name>
      <file_size unit="byte">{size}</file_size>{count}
      <md5_checksum>{md5}</md5_checksum>
    </File>
"""


def array(identifier: str, kind: str, offset: int, lines: int, samples: int) -> str:
    """An Array_2D_Image of a PDS4 data type at a byte offset."""
    axes = "".join(
        f"""\
      <Axis_Array>
        <axis_name>{axis}</axis_name>
        <elements>{elements}</elements>
        <sequence_number>{number}</sequence_number>
      </Axis_Array>
"""
        for number, (axis, elements) in enumerate((("Line", lines), ("Sample", samples)), 1)
    )
    return f"""\
    <Array_2D_Image>
      <local_identifier>{identifier}</local_identifier>
      <offset unit="byte">{offset}</offset>
      <axes>2</axes>
      <axis_index_order>Last Index Fastest</axis_index_order>
      <Element_Array>
        <data_type>{kind}</data_type>
        <unit>DN</unit>
      </Element_Array>
{axes}    </Array_2D_Image>
"""


def fits(name: str, size: int, md5: str, kind: str, lines: int, samples: int) -> str:
    """A FITS file: one block of header, then an image."""
    return (
        file(name, size, md5)
        + f"""\
    <Header>
      <local_identifier>header</local_identifier>
      <offset unit="byte">0</offset>
      <object_length unit="byte">{BLOCK}</object_length>
      <parsing_standard_id>FITS 4.0</parsing_standard_id>
    </Header>
"""
        + array("image", kind, BLOCK, lines, samples)
    )


def character_table(name: str, data: bytes, count: int) -> str:
    """A Table_Character of wavelength, reflectance and its error."""
    columns = (
        ("wavelength", 1, 6, "ASCII_Integer", "nm"),
        ("reflectance", 9, 7, "ASCII_Real", ""),
        ("reflectance error", 18, 7, "ASCII_Real", ""),
    )
    fields = "".join(
        f"""\
        <Field_Character>
          <name>{title}</name>
          <field_number>{number}</field_number>
          <field_location unit="byte">{start}</field_location>
          <data_type>{kind}</data_type>
          <field_length unit="byte">{length}</field_length>
{f"          <unit>{unit}</unit>{chr(10)}" if unit else ""}        </Field_Character>
"""
        for number, (title, start, length, kind, unit) in enumerate(columns, 1)
    )
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return (
        file(name, len(data), md5, count)
        + f"""\
    <Table_Character>
      <local_identifier>table</local_identifier>
      <offset unit="byte">0</offset>
      <records>{count}</records>
      <record_delimiter>Carriage-Return Line-Feed</record_delimiter>
      <Record_Character>
        <fields>3</fields>
        <groups>0</groups>
        <record_length unit="byte">26</record_length>
{fields}      </Record_Character>
    </Table_Character>
"""
    )


def delimited_table(name: str, data: bytes, count: int) -> str:
    """A Table_Delimited of wavelength and reflectance."""
    fields = "".join(
        f"""\
        <Field_Delimited>
          <name>{title}</name>
          <field_number>{number}</field_number>
          <data_type>{kind}</data_type>
        </Field_Delimited>
"""
        for number, (title, kind) in enumerate((("wavelength", "ASCII_Integer"), ("reflectance", "ASCII_Real")), 1)
    )
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return (
        file(name, len(data), md5, count)
        + f"""\
    <Table_Delimited>
      <local_identifier>table</local_identifier>
      <offset unit="byte">0</offset>
      <parsing_standard_id>PDS DSV 1</parsing_standard_id>
      <records>{count}</records>
      <record_delimiter>Carriage-Return Line-Feed</record_delimiter>
      <field_delimiter>Comma</field_delimiter>
      <Record_Delimited>
        <fields>2</fields>
        <groups>0</groups>
{fields}      </Record_Delimited>
    </Table_Delimited>
"""
    )


def inventory(name: str, data: bytes, count: int) -> str:
    """An Inventory of ``count`` members."""
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return (
        file(name, len(data), md5, count)
        + f"""\
    <Inventory>
      <offset unit="byte">0</offset>
      <parsing_standard_id>PDS DSV 1</parsing_standard_id>
      <records>{count}</records>
      <record_delimiter>Carriage-Return Line-Feed</record_delimiter>
      <field_delimiter>Comma</field_delimiter>
      <Record_Delimited>
        <fields>2</fields>
        <groups>0</groups>
        <Field_Delimited>
          <name>Member Status</name>
          <field_number>1</field_number>
          <data_type>ASCII_String</data_type>
          <maximum_field_length unit="byte">1</maximum_field_length>
        </Field_Delimited>
        <Field_Delimited>
          <name>LIDVID_LID</name>
          <field_number>2</field_number>
          <data_type>ASCII_LIDVID_LID</data_type>
          <maximum_field_length unit="byte">255</maximum_field_length>
        </Field_Delimited>
      </Record_Delimited>
      <reference_type>inventory_has_member_product</reference_type>
    </Inventory>
"""
    )
