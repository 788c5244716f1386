"""Text files in any encoding, with any separator: what is found is told, what is guessed is only offered."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aih_outcomes.errors import DataError
from aih_outcomes.load.spreadsheets.separated import read_separated
from aih_outcomes.load.spreadsheets.source import Layout

GERMAN = "Patient;Größe;Bemerkung\n1;141,5;Überwiesen aus Zürich\n2;150,0;älteres Mädchen, öfter müde\n"


def read(folder, data: bytes, **how):
    (folder / "f.csv").write_bytes(data)
    return read_separated(folder / "f.csv", "f.csv", **how)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_an_encoding_with_a_mark_speaks_for_itself(tmp_path, encoding):
    source = read(tmp_path, GERMAN.encode(encoding))
    assert list(source.cells) == ["Patient", "Größe", "Bemerkung"]
    assert source.cells["Größe"].tolist() == ["141,5", "150,0"]
    told = "; ".join(source.notes)
    assert ("byte order mark" in told) == (encoding in ("utf-16", "utf-32"))


def test_another_encoding_is_offered_and_not_used(tmp_path):
    with pytest.raises(DataError) as caught:
        read(tmp_path, (GERMAN * 5).encode("cp1252"))
    assert "line 1" in caught.value.what
    assert '[reading] encoding = "cp12' in caught.value.way_out
    assert read(tmp_path, GERMAN.encode("cp1252"), encoding="cp1252").cells["Bemerkung"][2] == "Überwiesen aus Zürich"


@pytest.mark.parametrize("text", [GERMAN, "id,Niño\n1,2\n", "id,unit\n1,µmol/L\n", "a,b\nkid-4711,Quägmire\n"])
def test_a_few_letters_of_windows_are_offered_as_windows(tmp_path, text):
    with pytest.raises(DataError) as caught:
        read(tmp_path, text.encode("cp1252"))
    assert 'encoding = "cp1252"' in caught.value.way_out


def test_cyrillic_text_is_offered_as_such(tmp_path):
    russian = "Пациент;Диагноз;Примечание\n1;аутоиммунный гепатит;направлен из областной больницы\n" * 5
    with pytest.raises(DataError) as caught:
        read(tmp_path, russian.encode("cp1251"))
    assert 'encoding = "cp1251"' in caught.value.way_out


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a,b\n1,2\n", ["a", "b"]),
        ("a;b\n1,5;2\n3,5;4\n", ["a", "b"]),
        ("a, in g;b, in g\n1,5;2,5\n3,5;4,5\n", ["a, in g", "b, in g"]),
        ("a\tb\n1;2\t3\n", ["a", "b"]),
        ("a|b|c\n1|2|3\n", ["a", "b", "c"]),
        ('a,b\n"x;y",2\n"x;y",2\n', ["a", "b"]),
        ("a\n1\n2\n", ["a"]),
    ],
)
def test_the_separator_is_the_one_by_which_the_first_lines_agree(tmp_path, text, columns):
    assert list(read(tmp_path, text.encode()).cells) == columns


def test_a_title_block_and_two_header_lines_are_passed_over_or_joined(tmp_path):
    text = "Liver clinic;;;\nexport of March;;;\nStudy no;ALT;;IgG\n;m0;m3;m0\n7;40;30;12\n;;;\nMean;40;30;12\n"
    source = read(tmp_path, text.encode(), layout=Layout(first_row=3, header_rows=2))
    assert list(source.cells) == ["Study no", "ALT | m0", "ALT | m3", "IgG | m0"]
    assert source.cells.index.tolist() == [5, 7]
    assert source.n_blank == 1
    assert source.tell()[1:] == ["2 lines above the header passed over", "1 blank line passed over"]


def test_a_blank_first_line_is_told_with_the_line_of_the_header(tmp_path):
    with pytest.raises(DataError) as caught:
        read(tmp_path, b"\n\na,b\n1,2\n")
    assert caught.value.way_out.endswith("first_row = 3")


def test_a_field_of_ten_million_characters_names_its_line(tmp_path):
    with pytest.raises(DataError) as caught:
        read(tmp_path, b"a,b\n1,2\n3," + b"x" * 10_000_000 + b"\n")
    assert caught.value.what == "Line 3 of 'f.csv' has a cell of more than 131,072 characters"


def test_a_database_command_or_formula_in_a_cell_is_text(tmp_path):
    words = ["'; DROP TABLE patients; --", "=cmd|'/c calc'!A0", "+1+1", "@SUM(A1)"]
    source = read(tmp_path, ("id\tx\n" + "".join(f"{word}\t1\n" for word in words)).encode())
    assert source.cells["id"].tolist() == words


@given(data=st.binary(max_size=80) | st.text(alphabet='ab1,;|\t"\n\r\0é\ufeff', max_size=60).map(str.encode))
@example(data=b"")
@example(data=b'"')
@example(data=b"a,b\r1,2\r")
@example(data=b"\xff\xfe")
@example(data=b"\xff\xfe\x00")
@example(data=b"\xef\xbb\xbf\xef\xbb\xbfa,b\n1,2")
@example(data=b'a,b\n"1,2\n3,4')
@example(data=b"a;b;\n1;2;\n")
def test_every_file_is_read_or_refused_and_no_line_vanishes(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    try:
        source = read(folder, data)
    except DataError:
        return
    assert len(source.cells) + len(source.uneven) == source.n_lines
    assert set(source.cells.index).isdisjoint(source.uneven)


def test_where_several_encodings_give_the_same_text_the_usual_one_is_offered(tmp_path):
    text = "Fallnr;Größe;Geschlecht\n" + "1;120,5;männlich\n2;98,0;weiblich\n" * 20
    with pytest.raises(DataError, match="not text in the encoding utf-8") as caught:
        read(tmp_path, text.encode("cp1252"))
    assert 'encoding = "cp1252"' in caught.value.way_out
