"""Workbooks as clinics keep them, and workbooks that are broken or were made to harm."""

import datetime
import io
import struct
import time
import zipfile

import openpyxl
import pytest
import xlsxwriter
from hypothesis import example, given
from hypothesis import strategies as st

from aih_outcomes.errors import AihError, DataError, PlanError
from aih_outcomes.load.spreadsheets.files import Files
from aih_outcomes.load.spreadsheets.sheets import Workbook
from aih_outcomes.load.spreadsheets.source import Layout
from aih_outcomes.load.spreadsheets.tables import read_tables
from tests.load.workbooks import change_part, ods_cell, ods_row, write_ods, write_xlsx

SHEET = "xl/worksheets/sheet1.xml"


def fill_clinic(book):
    labs = book.add_worksheet("Labs")
    labs.write("A1", "Liver clinic, export of March")
    labs.merge_range("B3:D3", "ALT")
    labs.write_row("A4", ["Study no", "m0", "m3", "m6", "Visit", "Seen"])
    labs.write_row("A5", ["k1", 812.5, "<5"])
    labs.write_string("D5", "=1+1")
    labs.write_datetime("E5", datetime.datetime(2019, 5, 3))
    labs.write_boolean("F5", True)
    labs.write_row("A7", [4711, 0.1, 1e-7, 123456789012])
    labs.write_datetime("E7", datetime.datetime(2019, 5, 3, 10, 15))
    labs.write_row("A8", ["Mean", 406.3])
    labs.set_row(6, None, None, {"hidden": True})
    book.add_worksheet("Old list").hide()


def read(path, sheet=None, **layout):
    return Workbook(path, path.name).read(sheet, Layout(**layout))


@pytest.fixture
def clinic(tmp_path):
    return write_xlsx(tmp_path / "clinic.xlsx", fill_clinic)


def test_a_clinics_sheet_is_read_as_it_shows(clinic):
    source = read(clinic, "Labs", first_row=3, header_rows=2)
    assert list(source.cells) == ["Study no", "ALT | m0", "ALT | m3", "ALT | m6", "Visit", "Seen"]
    assert source.cells.index.tolist() == [5, 7, 8]
    assert source.cells.loc[5].tolist() == ["k1", "812.5", "<5", "=1+1", "2019-05-03", "TRUE"]
    assert source.cells.loc[7].tolist() == ["4711", "0.1", "1e-07", "123456789012", "2019-05-03 10:15:00", ""]
    assert source.cells.loc[8].tolist()[:3] == ["Mean", "406.3", ""]
    assert source.tell() == [
        "1 hidden row read like the others", "1 line above the header passed over", "1 blank line passed over",
    ]  # fmt: skip


def test_the_first_sheet_is_told_and_a_wrong_name_has_a_near_miss(clinic):
    assert "sheet 'Labs', the first of 2" in read(clinic, first_row=4).notes
    with pytest.raises(PlanError) as caught:
        read(clinic, "labs")
    assert caught.value.way_out == "Perhaps 'Labs' is meant"
    with pytest.raises(DataError) as empty:
        read(clinic, "Old list")
    assert empty.value.what == "'clinic.xlsx:Old list' is empty: it has no header"


def test_a_hidden_sheet_is_read_and_told(tmp_path):
    def fill(book):
        book.add_worksheet("Front")
        hidden = book.add_worksheet("Back")
        hidden.write_row("A1", ["id", "x"])
        hidden.write_row("A2", ["1", "2"])
        hidden.hide()

    source = read(write_xlsx(tmp_path / "b.xlsx", fill), "Back")
    assert source.cells["x"].tolist() == ["2"]
    assert source.notes == ("the sheet is hidden",)


def test_blank_lines_above_the_header_are_explained(tmp_path):
    path = write_xlsx(tmp_path / "b.xlsx", lambda book: book.add_worksheet().write_row("B6", ["id", "x"]))
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.way_out.endswith("first_row = 6")


def test_dates_of_the_1904_calendar_are_the_days_that_are_shown(tmp_path):
    def fill(book):
        sheet = book.add_worksheet()
        sheet.write("A1", "day")
        sheet.write_datetime("A2", datetime.datetime(2019, 5, 3))

    with_1904 = tmp_path / "old apple.xlsx"
    with xlsxwriter.Workbook(with_1904, {"date_1904": True, "default_date_format": "dd/mm/yyyy"}) as book:
        fill(book)
    assert read(with_1904).cells["day"].tolist() == ["2019-05-03"]


def test_formulas_show_their_value_and_one_without_a_value_is_neither_blank_nor_zero(tmp_path):
    book = openpyxl.Workbook()  # writes formulas without computing them
    for row in (["id", "a", "b"], ["k1", "=1+1", 5], ["k2", 3, "=B3*2"]):
        book.active.append(row)
    book.save(tmp_path / "uncomputed.xlsx")
    source = read(tmp_path / "uncomputed.xlsx")
    assert source.cells.to_numpy().tolist() == [["k1", "#NO VALUE", "5"], ["k2", "3", "#NO VALUE"]]
    assert source.notes == ("2 formulas without a value: open and save the workbook once",)

    def fill(made):
        sheet = made.add_worksheet()
        sheet.write_row("A1", ["known", "unknown", "wrong", "text"])
        sheet.write_formula("A2", "=6*7", None, 42)
        sheet.write_formula("B2", "=C1*2")  # written with the value 0, which is not its value
        sheet.write_formula("C2", "=1/0", None, "#DIV/0!")
        sheet.write_formula("D2", '=IF(1,"","")', None, "nothing")

    made = write_xlsx(tmp_path / "made.xlsx", fill)
    made.write_bytes(change_part(made.read_bytes(), SHEET, lambda xml: xml.replace(b"<v>nothing</v>", b"<v></v>")))
    source = read(made)
    assert source.cells.to_numpy().tolist() == [["42", "#NO VALUE", "#DIV/0!", ""]]
    assert "1 cell with an error such as #N/A" in source.notes


def test_an_ods_workbook_is_read_with_its_repeats_errors_and_hidden_rows(tmp_path):
    rows = ods_row(ods_cell("id"), ods_cell("a"), ods_cell("b"))
    rows += ods_row(ods_cell("k1"), ods_cell(5.5, 'table:number-columns-repeated="2"'))
    wrong = 'table:formula="of:=1/0" calcext:value-type="error"'
    rows += ods_row(ods_cell("k2"), ods_cell("#DIV/0!", wrong), '<table:table-cell table:formula="of:=1+1"/>',
                    more='table:visibility="filter"')  # fmt: skip
    rows += ods_row(
        '<table:table-cell table:number-columns-repeated="16384"/>', more='table:number-rows-repeated="1048573"'
    )
    source = read(write_ods(tmp_path / "a.ods", rows))
    assert source.cells.to_numpy().tolist() == [["k1", "5.5", "5.5"], ["k2", "#DIV/0!", "#NO VALUE"]]
    assert source.notes == (
        "1 hidden row read like the others", "1 cell with an error such as #N/A",
        "1 formula without a value: open and save the workbook once",
    )  # fmt: skip


# What is no workbook, or was made to harm


def refusal(folder, data: bytes, name: str = "x.xlsx") -> AihError:
    (folder / name).write_bytes(data)
    with pytest.raises(AihError) as caught:
        read(folder / name)
    assert caught.value.rule
    assert caught.value.way_out
    return caught.value


def test_what_is_no_workbook_is_named_for_what_it_is(tmp_path):
    old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512
    assert "old Excel workbook (.xls)" in refusal(tmp_path, old).what
    assert "protected with a password" in refusal(tmp_path, old + "EncryptedPackage".encode("utf-16-le")).what
    assert "is no workbook" in refusal(tmp_path, b"a;b\n1;2\n").what
    assert "is no workbook" in refusal(tmp_path, b"").what


def test_an_old_workbook_is_not_taken_for_text(tmp_path):
    (tmp_path / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512)
    with pytest.raises(DataError) as caught:
        Files().read(tmp_path / "old.xls")
    assert caught.value.way_out == "Open it and save it as 'Excel Workbook (.xlsx)'"


def test_a_workbook_cut_short_anywhere_is_refused(clinic, tmp_path):
    data = clinic.read_bytes()
    for length in range(1, len(data), 301):
        assert refusal(tmp_path, data[:length]).exit_code == DataError.exit_code


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(SHEET, "w") as part:
        for _ in range(120):
            part.write(b"0" * 1_000_000)
    begun = time.monotonic()
    assert "unpacks from" in refusal(tmp_path, bomb.getvalue()).what
    assert time.monotonic() - begun < 1
    lying = bytearray(bomb.getvalue())
    listed = lying.find(b"PK\x01\x02")
    lying[listed + 24 : listed + 28] = struct.pack("<I", 100)  # the size that the directory declares
    assert "damaged" in refusal(tmp_path, bytes(lying)).what


@pytest.mark.parametrize(
    ("found", "becomes"), [(b"<v>0</v>", b"<v>99999</v>"), (b'r="A1"', b'r="\xc3\xa41"'), (b"</sheetData>", b"")]
)
def test_a_damaged_sheet_in_canonical_form_is_refused_too(tmp_path, found, becomes):
    path = write_xlsx(
        tmp_path / "clinic.xlsx", lambda book: book.add_worksheet("patients").write_row("A1", ["patient_id", "sex"])
    )
    path.write_bytes(change_part(path.read_bytes(), SHEET, lambda xml: xml.replace(found, becomes)))
    with pytest.raises(DataError) as caught:
        read_tables(path)
    assert "is damaged or cut short" in caught.value.what


@pytest.mark.parametrize("place", [b"XFD1048576", b"A99999999999"])
def test_one_cell_far_away_does_not_take_all_memory(clinic, tmp_path, place):
    far = b'<row><c r="' + place + b'"><v>1</v></c></row></sheetData>'
    data = change_part(clinic.read_bytes(), SHEET, lambda xml: xml.replace(b"</sheetData>", far))
    assert "spans" in refusal(tmp_path, data).what


def test_a_run_of_cells_without_end_is_refused(tmp_path):
    rows = ods_row(
        ods_cell("x", 'table:number-columns-repeated="16384"'), more='table:number-rows-repeated="999999999999"'
    )
    with pytest.raises(DataError) as caught:
        read(write_ods(tmp_path / "a.ods", rows))
    assert "spans" in caught.value.what


def test_entities_that_unfold_are_refused(clinic, tmp_path):
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    before = f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]>'
    with pytest.raises(DataError):
        read(write_ods(tmp_path / "a.ods", ods_row(ods_cell("&l9;")), before=before))
    strings = "xl/sharedStrings.xml"
    data = change_part(
        clinic.read_bytes(), strings,
        lambda xml: xml.replace(b"<sst", before.encode() + b"<sst").replace(b"Study no", b"&l9;"),
    )  # fmt: skip
    assert "damaged" in refusal(tmp_path, data).what


def test_a_million_blank_lines_are_no_records(clinic, tmp_path):
    blank = b"".join(b'<row r="%d"><c r="A%d" s="1"/></row>' % (row, row) for row in range(9, 200_000))
    data = change_part(clinic.read_bytes(), SHEET, lambda xml: xml.replace(b"</sheetData>", blank + b"</sheetData>"))
    (tmp_path / "blank.xlsx").write_bytes(data)
    assert read(tmp_path / "blank.xlsx", first_row=4).n_lines == 3


def test_a_cell_of_ten_million_characters_is_read(clinic, tmp_path):
    data = change_part(
        clinic.read_bytes(), "xl/sharedStrings.xml", lambda xml: xml.replace(b">k1<", b">" + b"k" * 10_000_000 + b"<")
    )
    (tmp_path / "long.xlsx").write_bytes(data)
    assert read(tmp_path / "long.xlsx", first_row=4).cells["Study no"].str.len().max() == 10_000_000


PIECES = st.sampled_from(
    [b"", b"9999999999", b"-1", b'"', b"<", b' t="s"', b' t="b"', b' t="d"', b"<v>1e999</v>", b"&a;", b"\xff", b"UTF-2"]
)
CHANGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES), min_size=1, max_size=5)
PARTS = ("xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/sharedStrings.xml", "xl/styles.xml", SHEET)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_xlsx(tmp_path_factory.mktemp("small") / "s.xlsx", fill_clinic).read_bytes()


@given(part=st.sampled_from(PARTS), changes=CHANGES)
@example(part="xl/_rels/workbook.xml.rels", changes=[(0.03, 8, b"UTF-2")])
@example(part=SHEET, changes=[(0.5, 0, b"<v>1e999</v>")])
def test_whatever_is_changed_in_its_xml_a_workbook_is_read_or_refused(small, tmp_path_factory, part, changes):
    def change(xml: bytes) -> bytes:
        for share, length, piece in changes:
            place = int(share * len(xml))
            xml = xml[:place] + piece + xml[place + length :]
        return xml

    path = tmp_path_factory.mktemp("changed") / "c.xlsx"
    path.write_bytes(change_part(small, part, change))
    try:
        source = read(path, first_row=4)
    except AihError:
        return
    assert source.cells.map(lambda cell: isinstance(cell, str)).all(axis=None)


@given(
    rows=st.text(alphabet='<>/="& 019', max_size=30),
    repeat=st.integers(-5, 10**12),
    value=st.text("0123456789.eE-n", max_size=6),
)
@example(rows="", repeat=10**30, value="1")
@example(rows="", repeat=-1, value="1")
@example(rows="", repeat=2, value="nan")
@example(rows="", repeat=2, value="1e999")
def test_whatever_is_in_it_an_ods_workbook_is_read_or_refused(tmp_path_factory, rows, repeat, value):
    cell = (
        f'<table:table-cell office:value-type="float" office:value="{value}" table:number-columns-repeated="{repeat}"/>'
    )
    path = write_ods(tmp_path_factory.mktemp("ods") / "o.ods", ods_row(ods_cell("id")) + ods_row(cell) + rows)
    try:
        source = read(path)
    except AihError:
        return
    assert source.n_lines <= 1
