"""Java properties files as people paste them, and typed settings from their entries.

    \\ufeff# comment                              byte order mark, CRLF, `#` and `!` comments are no matter
    brokerId=0  // 0 is the master               `//` after white space starts a comment; http://x does not
    namesrvAddr : a:9876;\\                       `:` or `=` or a blank separates; `\\` continues and escapes
                  b:9876

The text is UTF-8; bytes that are not may stand in comments only. Trailing blanks do not count. The last of several
lines with one key holds.

Settings are declared once, as a frozen Struct with snake_case fields; the file's camelCase keys come from them:

    class NamesrvSettings(Settings, frozen=True):
        listen_port: Annotated[int, Meta(ge=0, le=65535)] = 9876
        broker_ip1: str | None = msgspec.field(default=None, name="brokerIP1")

`load` checks every entry and reports all problems at once; `update` sends a live change through the same checks.
Both are pure: reading and writing the file is their caller's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from math import isfinite
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec
from msgspec import inspect


class Entry(NamedTuple):
    """One `key = value`, unescaped. `line` counts from 1; 0 is an entry that came in no file."""

    key: str
    value: str
    line: int = 0


class Problem(NamedTuple):
    """What is wrong with one entry, for the person who wrote it. `value` is None where none is to blame."""

    file: str
    line: int
    key: str
    value: str | None
    expected: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        named = f" {self.key}" if self.key else ""
        shown = f" = {self.value!r}" if self.value is not None else ""
        return f"{place}:{named}{shown}: {self.expected}" if named else f"{place}: {self.expected}"


class SettingsError(ValueError):
    """Entries that cannot be used. The text has one line a problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


# -- text to entries ---------------------------------------------------------------------------------------------------

_COMMENT: Final = re.compile(r"(?:^[ \t\f]*|[ \t\f])//.*")
_CONTINUED_COMMENT: Final = re.compile(r"[ \t\f]//.*")
_KEY: Final = re.compile(r"((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.|\Z)", re.DOTALL)
_NAMED_ESCAPES: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_BLANKS: Final = " \t\f"


class _LogicalLine(NamedTuple):
    """Text of one or more lines of a file joined at their `\\`. `first` and `last` count from 1."""

    text: str
    first: int
    last: int


def parse(content: bytes, file: str = "properties") -> list[Entry]:
    """The entries of properties text, in order. `file` is for messages. Raises SettingsError."""
    entries, problems = [], []
    for line in _logical_lines(_decode(content)):
        try:
            entries.append(_entry(line))
        except ValueError as error:
            problems.append(Problem(file, line.first, "", None, str(error)))
    if problems:
        raise SettingsError(problems)
    return entries


def _decode(content: bytes) -> str:
    # Comments in another encoding must not stop a start, so bad bytes become surrogates, refused in entries only.
    return content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")


def _lines(text: str) -> list[str]:
    # Not splitlines: it would cut at characters that Java's Properties keeps, such as U+2028.
    return re.split(r"\r\n|\n|\r", text)


def _logical_lines(text: str) -> Iterator[_LogicalLine]:
    """Lines with an entry in them: continuations joined, comments and trailing blanks cut, empty ones left out."""
    joined, first = "", 0
    for number, line in enumerate(_lines(text), 1):
        if first:
            line = _CONTINUED_COMMENT.sub("", line, count=1).lstrip(_BLANKS)
        elif line.lstrip(_BLANKS).startswith(("#", "!")):
            continue
        else:
            line = _COMMENT.sub("", line, count=1).lstrip(_BLANKS)
        line = _without_trailing_blanks(line)
        first = first or number
        if _ends_in_escape(line):
            joined += line[:-1]
            continue
        if joined + line:
            yield _LogicalLine(_without_trailing_blanks(joined + line), first, number)
        joined, first = "", 0
    if joined:
        yield _LogicalLine(_without_trailing_blanks(joined), first, number)


def _without_trailing_blanks(line: str) -> str:
    stripped = line.rstrip(_BLANKS)
    is_escaped_blank = len(stripped) < len(line) and _ends_in_escape(stripped)
    return line[: len(stripped) + 1] if is_escaped_blank else stripped


def _ends_in_escape(text: str) -> bool:
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def _entry(line: _LogicalLine) -> Entry:
    try:
        line.text.encode()
    except UnicodeEncodeError:
        raise ValueError("these bytes are not UTF-8; save the file in that encoding") from None
    match = _KEY.match(line.text)
    assert match is not None, "the pattern matches the empty string"
    return Entry(_unescape(match[1]), _unescape(line.text[match.end() :]), line.first)


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    plain = _ESCAPE.sub(_unescaped, text)
    try:
        # Java writes a character beyond U+FFFF as two escapes; together they are one character.
        return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise ValueError(f"{text!r} has half of a surrogate pair") from None


def _unescaped(match: re.Match[str]) -> str:
    escaped = match[1]
    if len(escaped) == 5:
        return chr(int(escaped[1:], 16))
    if escaped == "u":
        raise ValueError(r"\u must be followed by four hexadecimal digits")
    return _NAMED_ESCAPES.get(escaped, escaped)


# -- entries to settings -----------------------------------------------------------------------------------------------


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Settings of a process: fields of str, int, float, bool, an Enum, a Literal, or one of these or None.

    Bounds and patterns stand in `Annotated[..., Meta(...)]`; its `description` is the text of what is expected. What
    several fields must fulfil together is checked in `__post_init__`, by ValueError.
    """


S = TypeVar("S", bound=Settings)


class Configuration(msgspec.Struct, Generic[S], frozen=True):
    """Settings, and what else was in the file: keys that mean nothing here, and lines for the log.

    `given` are the keys that stood there, so that a port which was chosen differs from one that is only the default.
    """

    settings: S
    unknown: dict[str, str]
    given: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


def load(settings_type: type[S], entries: Iterable[Entry], file: str = "properties") -> Configuration[S]:
    """Settings of this type. Raises SettingsError with every problem."""
    checked = _check(settings_type, entries, file)
    for field in msgspec.structs.fields(settings_type):
        if field.required and field.name not in checked.values and not checked.has_problem_with(field.encode_name):
            expected = f"is missing: expected {_expectation(inspect.type_info(field.type))}"
            checked.problems.append(Problem(file, 0, field.encode_name, None, expected))
    checked.raise_problems()
    try:
        settings = settings_type(**checked.values)
    except ValueError as error:
        raise SettingsError([Problem(file, 0, "", None, str(error))]) from None
    return Configuration(settings, checked.unknown, frozenset(checked.given), tuple(checked.warnings))


def update(before: Configuration[S], entries: Iterable[Entry], source: str) -> Configuration[S]:
    """The configuration with these entries changed. `source` is for messages. Raises SettingsError."""
    checked = _check(type(before.settings), entries, source)
    checked.raise_problems()
    try:
        settings = msgspec.structs.replace(before.settings, **checked.values)
    except ValueError as error:
        raise SettingsError([Problem(source, 0, "", None, str(error))]) from None
    unknown, given = before.unknown | checked.unknown, before.given | checked.given
    return Configuration(settings, unknown, given, tuple(checked.warnings))


class _Checked:
    """What became of entries: values by field name, unknown ones by key."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.unknown: dict[str, str] = {}
        self.given: set[str] = set()
        self.warnings: list[str] = []
        self.problems: list[Problem] = []

    def has_problem_with(self, key: str) -> bool:
        return any(problem.key == key for problem in self.problems)

    def raise_problems(self) -> None:
        if self.problems:
            raise SettingsError(self.problems)


def _check(settings_type: type[Settings], entries: Iterable[Entry], file: str) -> _Checked:
    fields = {field.encode_name: field for field in msgspec.structs.fields(settings_type)}
    checked = _Checked()
    for entry in _last_of_each_key(entries, file, checked.warnings):
        checked.given.add(entry.key)
        field = fields.get(entry.key)
        if field is None:
            checked.unknown[entry.key] = entry.value
            checked.warnings.append(_unknown_key(entry, fields, file))
            continue
        kind = inspect.type_info(field.type)
        try:
            checked.values[field.name] = msgspec.convert(_value(entry.value, kind), field.type)
        except ValueError:
            expected = f"expected {_expectation(kind)}"
            checked.problems.append(Problem(file, entry.line, entry.key, entry.value, expected))
    return checked


def _last_of_each_key(entries: Iterable[Entry], file: str, warnings: list[str]) -> Iterable[Entry]:
    last: dict[str, Entry] = {}
    for entry in entries:
        if (before := last.get(entry.key)) is not None:
            warnings.append(f"{file}:{entry.line}: {entry.key} was set in line {before.line} already; this line holds")
        last[entry.key] = entry
    return last.values()


def _unknown_key(entry: Entry, known: Iterable[str], file: str) -> str:
    place = f"{file}:{entry.line}" if entry.line else file
    close = get_close_matches(entry.key, known, n=1, cutoff=0.8)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"{place}: key {entry.key} means nothing here and is ignored{hint}"


def _value(text: str, kind: inspect.Type) -> Any:
    """Text as the closest value of this kind; the bounds are checked by msgspec. Raises ValueError."""
    match kind:
        case inspect.Metadata(type=inner):
            return _value(text, inner)
        case inspect.UnionType(types=types):
            kinds = [member for member in types if not isinstance(member, inspect.NoneType)]
            return _value(text, kinds[0])
        case inspect.BoolType():
            return {"true": True, "false": False}[text.lower()] if text.lower() in ("true", "false") else text
        case inspect.IntType():
            if re.fullmatch(r"[+-]?[0-9]{1,19}", text) is None:
                raise ValueError(text)
            return int(text)
        case inspect.FloatType():
            number = float(text)
            if not isfinite(number):
                raise ValueError(text)
            return number
        case _:
            return text


def _expectation(kind: inspect.Type) -> str:
    """What a value of this kind looks like, in words."""
    match kind:
        case inspect.Metadata(type=inner, extra_json_schema=schema):
            return str((schema or {}).get("description") or _expectation(inner))
        case inspect.UnionType(types=types):
            return _expectation(next(member for member in types if not isinstance(member, inspect.NoneType)))
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return f"a whole number{_bounds(kind)}"
        case inspect.FloatType():
            return f"a number{_bounds(kind)}"
        case inspect.EnumType(cls=enum):
            return "one of " + ", ".join(str(member.value) for member in enum)
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(map(str, values))
        case inspect.StrType(pattern=str(pattern)):
            return f"text that matches {pattern}"
        case _:
            return "text"


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    if kind.ge is not None and kind.le is not None:
        return f" from {kind.ge} to {kind.le}"
    low = f" of at least {kind.ge}" if kind.ge is not None else f" above {kind.gt}" if kind.gt is not None else ""
    high = f" of at most {kind.le}" if kind.le is not None else f" below {kind.lt}" if kind.lt is not None else ""
    return low + high


# -- settings to text --------------------------------------------------------------------------------------------------


def pairs(configuration: Configuration[S]) -> dict[str, str]:
    """Every key with its value as text, unknown ones included; absent (None) ones are left out, as Java does."""
    found = {}
    for field in msgspec.structs.fields(configuration.settings):
        value = msgspec.to_builtins(getattr(configuration.settings, field.name))
        if value is not None:
            found[field.encode_name] = str(value).lower() if isinstance(value, bool) else str(value)
    return found | configuration.unknown


def text(values: Mapping[str, str]) -> str:
    """Properties text that `parse`, and Java, read back as these values."""
    return "".join([f"{_escape_key(key)}={_escape(value)}\n" for key, value in values.items()])


def rewrite(content: bytes, changes: Mapping[str, str]) -> bytes:
    """The file's content with these values changed, and comments, order and all other lines as they were."""
    lines: list[str | None] = list(_lines(_decode(content)))
    left = dict(changes)
    for logical in reversed(list(_logical_lines(_decode(content)))):
        try:
            key = _entry(logical).key
        except ValueError:
            continue
        if key in changes:
            lines[logical.first - 1 : logical.last] = [None] * (logical.last - logical.first + 1)
            if key in left:
                lines[logical.first - 1] = text({key: left.pop(key)})[:-1]
    kept = "\n".join([line for line in lines if line is not None])
    if left and kept and not kept.endswith("\n"):
        kept += "\n"
    return (kept + text(left)).encode("utf-8", "surrogateescape")


def _escape(value: str) -> str:
    escaped = _escape_controls(value).replace(" //", " \\//")
    if escaped.startswith((" ", "=", ":")):
        escaped = "\\" + escaped
    return escaped[:-1] + "\\ " if escaped.endswith(" ") and len(value) > 1 else escaped


def _escape_key(key: str) -> str:
    return re.sub(r"([=: #!/])", r"\\\1", _escape_controls(key))


def _escape_controls(text: str) -> str:
    escaped = text.replace("\\", "\\\\")
    for letter, character in _NAMED_ESCAPES.items():
        escaped = escaped.replace(character, "\\" + letter)
    return escaped
