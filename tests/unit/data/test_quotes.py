"""Files with quotes: honest ones are read as they were written, a lone quote never swallows rows without a word."""

import csv
import random

import pandas as pd
import pytest

from textlab import data
from textlab.data import readers
from textlab.errors import InputError

PIECES = [
    *("good", "it's", '5"', '"Fine"', "yes,", "a;b", "x\ty", "\n", "\n\n", "neg", "pos,", "1,", "2\n", '"', '""', "é"),
    *("Hello,", "No;", "the"),
]
COLUMNS = [["text", "label"], ["label", "text"], ["id", "text", "label"], ["id", "text"]]


def stream(path, size=2048):
    return [text for part, _ in data.stream_texts(path, "text", size) for text in part]


def refused(path):
    with pytest.raises(InputError) as caught:
        stream(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(path, content):
    path.write_text(content, encoding="utf-8", newline="")
    return path


def honest(folder, seed):
    """Write a file as Python, pandas, R or a spreadsheet does; return its path and its texts."""
    draw = random.Random(seed)
    separator, columns = draw.choice(",;\t"), draw.choice(COLUMNS)
    labels = draw.choice([["pos", "neg"], [0, 1]])
    texts = [
        "".join(draw.choice(PIECES) + draw.choice(["", " "]) for _ in range(draw.randint(1, 14))).strip() or "x"
        for _ in range(draw.randint(2, 60))
    ]
    rows = [{"id": number, "text": text, "label": draw.choice(labels)} for number, text in enumerate(texts)]
    table = pd.DataFrame(rows)[columns]
    path = folder / ("a.tsv" if separator == "\t" else "a.csv")
    quoting = draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
    if seed % 4 == 0:
        table.to_csv(path, sep=separator, index=False, quoting=quoting)
    elif seed % 4 == 1:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter=separator, quoting=quoting).writerows([columns, *table.to_numpy().tolist()])
    elif seed % 4 == 2:  # row names, all words between quotes
        table.index = [str(number + 1) for number in table.index]
        table.to_csv(path, sep=separator, quoting=csv.QUOTE_NONNUMERIC, index_label="")
    else:
        table.to_csv(path, sep=separator, index=False, lineterminator="\r\n", encoding="utf-8-sig")
    return path, texts


def test_honest_files_are_read_as_they_were_written(tmp_path):
    for seed in range(200):
        path, texts = honest(tmp_path, seed)
        assert stream(path, 3 if seed % 2 else 2048) == texts, seed


@pytest.mark.parametrize("form", ["opened twice", "opened and closed", "opened"])
def test_stray_quotes_are_all_refused_by_line(tmp_path, form):
    for seed in range(60):
        draw = random.Random(seed)
        separator, columns, count = draw.choice(",;\t"), draw.choice(COLUMNS), draw.randint(20, 80)
        texts = [f"this is a {draw.choice(['cold', 'warm'])} day {number}" for number in range(count)]
        first, last = sorted(draw.sample(range(count - 1), 2))
        texts[first] = '"' + texts[first]
        texts[last] = {"opened twice": '"{}', "opened and closed": '{}"', "opened": "{}"}[form].format(texts[last])
        rows = [{"id": str(i), "text": text, "label": draw.choice(["pos", "neg"])} for i, text in enumerate(texts)]
        lines = [separator.join(columns)] + [separator.join(row[column] for column in columns) for row in rows]
        path = write(tmp_path / ("a.tsv" if separator == "\t" else "a.csv"), "\n".join(lines) + "\n")
        end = "never closed" if form == "opened" else f"closed in line {last + 2}"
        assert f"a quote opened in line {first + 2} is {end}, and swallows what lies between; put a text" in refused(
            path
        )


@pytest.mark.parametrize("odd", ["t,Pos", "", "a,b,pos", "a", "a,"])
@pytest.mark.parametrize("classes", [2, 60])
def test_an_odd_line_or_many_classes_hide_no_stray_quote(tmp_path, odd, classes):
    lines = [f"i want thing {number},intent {number % classes}" for number in range(100)]
    lines[20], lines[45], lines[70] = f'"{lines[20]}', odd, lines[70].replace(",", '",')
    said = refused(write(tmp_path / "a.csv", "\n".join(["text,label", *lines])))
    assert "a quote opened in line 22 is closed in line 72" in said


def test_stray_quotes_in_a_short_file_or_among_ids_with_gaps_are_refused(tmp_path):
    path = write(tmp_path / "a.csv", 'text,label\nt0,a\n"t1,b\nt2,c\nt3",b\nt4,a\nt5,b\n')
    assert "a quote opened in line 3 is closed in line 5" in refused(path)
    path = write(tmp_path / "a.csv", 'id,text\n1,a\n2,"b\n3,c\n5,d\n6,e"\n7,f\n')
    assert "a quote opened in line 3 is closed in line 6" in refused(path)


def test_a_line_without_a_field_between_quotes_is_taken_as_it_stands(tmp_path):
    lines = ['"Fine" she said\tgood', 'a 5" disk\tbad', '"quoted"\tgood', 'the "Times"\tbad', '"a ""b"" c"\tgood']
    path = write(tmp_path / "a.tsv", "text\tlabel\n" + "\n".join(lines))
    assert stream(path) == ['"Fine" she said', 'a 5" disk', "quoted", 'the "Times"', 'a "b" c']
    assert readers.read_files([path], "", "")["label"].tolist() == ["good", "bad", "good", "bad", "good"]


@pytest.mark.parametrize(
    "line", ['"He said \\"hi\\" to me","good"', '"He said "hi" to me",good', '"Yes, no" he said,good']
)
def test_a_quote_that_is_closed_in_the_middle_of_a_field_is_named(tmp_path, line):
    path = write(tmp_path / "a.csv", f'text,label\n"two\nlines",bad\n{line}\n')
    assert refused(path).startswith("a.csv, line 4: a quote is closed in the middle of a field; put a text with")


@pytest.mark.parametrize(
    "content, line",
    [
        ('text,label\nt0,a\nt1, "b"\n', 3),
        ('id, text, label\n0, "t0", a\n', 2),
        ('id, text\n0, t0\n1, "t1, x"\n', 3),
        ('id, text\n0, "t0, x"\n1, "t1, x"\n', 2),
        ('"id", "text"\n1,a\n', 1),
    ],
)
def test_a_space_in_front_of_a_field_between_quotes_is_named(tmp_path, content, line):
    path = write(tmp_path / "a.csv", content)
    said = f"a.csv, line {line}: a space stands in front of a quote; delete the spaces between separators and quotes"
    assert refused(path) == said


def test_a_space_in_front_of_a_quote_may_belong_to_a_text(tmp_path):
    texts = [' "so"', 'a, ", b', 'x, "", y']
    pd.DataFrame({"text": texts, "label": list("xyz")}).to_csv(tmp_path / "a.csv", index=False)
    assert stream(tmp_path / "a.csv") == texts
    assert stream(write(tmp_path / "a.csv", 'label,text\nx, "so" he said\n')) == [' "so" he said']


def test_the_line_of_a_fault_counts_lines_inside_of_quotes(tmp_path):
    path = write(tmp_path / "a.csv", 'text,label\n"a\n\nb",x\n"c\nd",x\na,b,c\n')
    assert "a.csv: Expected 2 fields in line 7, saw 3" in refused(path)
    path = write(tmp_path / "a.csv", 'text,label\n"a\n\nb",x\n"c\nd",x\n"e,y\nf,y\n')
    assert "a.csv: a quote opened in line 7 is never closed" in refused(path)


def test_long_texts_and_texts_that_hold_tables_are_accepted(tmp_path):
    texts = [
        '"' + "word " * 100_000 + "\nend",
        "name,size\nbolt,3\nnut,4",
        "la,la\nla,la\nla",
        "it costs\n1,000 dollars",
        "well,\nx, then\n\nah, x, yes",
    ]
    path = tmp_path / "a.csv"
    pd.DataFrame({"text": texts * 3, "label": list("xyz") * 5}).to_csv(path, index=False)
    assert stream(path) == texts * 3


def test_rows_with_empty_fields_stay_and_blank_lines_go(tmp_path):
    assert stream(write(tmp_path / "a.csv", 'text\na lovely day\n""\n""\n\na grim day\n')) == [
        "a lovely day",
        "",
        "",
        "a grim day",
    ]
    assert stream(write(tmp_path / "a.csv", "\ntext,id\na,1\n,\n\n,\n,2\n\n")) == ["a", "", "", ""]
    lists = ["", "a", "", "", 'b\n\n"', ""]
    pd.DataFrame({"text": lists}).to_csv(tmp_path / "a.csv", index=False)
    assert stream(tmp_path / "a.csv", 2) == lists


@pytest.mark.parametrize(
    "first, separator", [("\ufeffsep=;\r\n", ";"), ('"sep=|"\n', "|"), ("SEP=\t\n", "\t"), ("\n\n", ";")]
)
def test_the_line_of_a_spreadsheet_that_names_the_separator_is_no_row(tmp_path, first, separator):
    lines = [separator.join(row) for row in (("text", "label"), ("a, b", "x"), ("c", "y"))]
    path = write(tmp_path / "a.csv", first + "\n".join(lines))
    table = readers.read_files([path], "", "")
    assert table.to_numpy().tolist() == [["a, b", "x"], ["c", "y"]]
    assert table.index.tolist() == [2 + first.count("\n"), 3 + first.count("\n")]


@pytest.mark.parametrize(
    "header, separator",
    [
        ("Was hat gefallen, was nicht?;Label", ";"),
        ('"Was hat, kurz, gefallen?";Label', ";"),
        ('"Your comment\n(optional, short)";Label', ";"),
        ("Gefallen; gar nicht?,Label", ","),
    ],
)
def test_the_separator_is_what_the_other_lines_have_too_outside_of_quotes(tmp_path, header, separator):
    text = '"gut, ja; ""gut""\nund schön"'
    path = write(tmp_path / "a.csv", "\n".join([header, f"{text}{separator}pos", f"weniger{separator}neg"]))
    names = [header.rpartition(separator)[0].strip('"'), "Label"]
    table = readers.read_files([path], *names)
    assert table.to_numpy().tolist() == [['gut, ja; "gut"\nund schön', "pos"], ["weniger", "neg"]]
    assert table.index.tolist() == [2 + header.count("\n"), 4 + header.count("\n")]


def test_a_comma_of_prose_in_a_name_is_no_separator_where_rows_have_as_many(tmp_path):
    path = write(tmp_path / "a.csv", "What did you like?;Was it good, or not, or so?;Rating\nx;fine, really, so;5\n")
    assert readers.read_files([path], "Was it good, or not, or so?", "Rating")["text"].tolist() == ["fine, really, so"]
    path = write(tmp_path / "a.csv", "Was hat gefallen, was nicht?;Label\ngut, ja;pos\n")
    assert readers.read_files([path], "Was hat gefallen, was nicht?", "Label")["text"].tolist() == ["gut, ja"]


@pytest.mark.parametrize(
    "content",
    [
        "text; label; note, if any\nHi, you; pos; x\nOh, no; neg; y\n",
        "text, label, tags; more\nHi, pos, a;b\nHo, neg, c;d\n",
        "Body; Mood; note, if any\nHi, you; pos; x\nOh, no; neg; y\n",
    ],
)
def test_a_separator_may_have_a_space_behind_it(tmp_path, content):
    path = write(tmp_path / "a.csv", content)
    names = [name.strip() for name in content.replace(",", ";").split(";")[:2]]
    table = readers.read_files([path], *names)
    assert [label.strip() for label in table["label"]] == ["pos", "neg"]


def test_a_single_name_has_no_other_separator_than_a_comma(tmp_path):
    path = write(tmp_path / "a.csv", "text\nfine,2024-01-01\nbad,2024-01-02\n")
    assert "Expected 1 fields in line 2, saw 2" in refused(path)


def test_texts_under_a_single_name_are_whole_lines(tmp_path):
    lines = ["Hello, world", "A, b, c", "x;y", "1,000 times", "tab\there", *(f"plain {i}" for i in range(99)), "a,b,c"]
    path = write(tmp_path / "a.csv", "\n".join(["text", *lines, '"in ""quotes"", too"']))
    assert stream(path) == [*lines, 'in "quotes", too']


@pytest.mark.parametrize(
    "content",
    [
        'ham,"Go until jurong point, crazy"\nspam,Free entry\n',
        "4,1000,fine\n0,1001,grim\n",
        "pos,fine\nneg,grim\npos,nice\n",
        "What is the capital of France ?,LOC\nWho was Galileo ?,HUM\n",
    ],
)
def test_a_file_without_column_names_is_told_from_one_with_other_names(tmp_path, content):
    said = refused(write(tmp_path / "a.csv", content))
    assert "its first line looks like data (" in said and "put a line with a name for each column on top" in said
    for names in ("body,mood", "0,1"):
        assert "set text_column" in refused(write(tmp_path / "a.csv", f"{names}\nfine,pos\ngrim,neg\n"))


@pytest.mark.parametrize(
    "row", ['"{i}","text {i}","good"', '"{i}","text\n{i}, so","good"', "text {i},good,", '"{i}",text {i},good\n']
)
def test_rows_with_a_field_more_than_the_header_are_told(tmp_path, row):
    rows = [row.format(i=i) for i in range(9)]
    said = refused(write(tmp_path / "a.csv", "\n".join(["text,label", *rows, ""])))
    assert said.startswith("a.csv: the rows have one field more than the header; name the column of row names on top")
    said = refused(write(tmp_path / "a.csv", "\n".join(["text,label", "so,yes,good", *rows, "fine,good"])))
    assert "Expected 2 fields in line 2, saw 3" in said
    said = refused(write(tmp_path / "a.csv", "text,label\nso, yes,good\nwell, no,bad\n"))
    assert "Expected 2 fields in line 2, saw 3" in said


@pytest.mark.parametrize("name", ["What did you like about our course?", "Please say what you did like"])
def test_questions_of_a_survey_and_sentences_may_name_columns(tmp_path, name):
    path = write(tmp_path / "b.csv", f"When,{name},Rating\n1:02,fine,5\n1:04,grim,1\n")
    assert refused(path).endswith("if it does name them, set text_column and label_column to two of them")
    rows = readers.read_files([path], name, "Rating")
    assert rows.to_numpy().tolist() == [["fine", "5"], ["grim", "1"]]


def test_a_numbered_list_beside_ids_is_a_text(tmp_path):
    rows = [{"id": number, "text": f"list {number}\n1,1\n2,2\n3,3\nend", "place": number} for number in range(1, 9)]
    for columns in (["id", "text"], ["text", "place"]):
        pd.DataFrame(rows)[columns].to_csv(tmp_path / "a.csv", index=False)
        with (tmp_path / "a.csv").open("a") as file:
            file.write("\n\n")
        assert stream(tmp_path / "a.csv") == [row["text"] for row in rows]
