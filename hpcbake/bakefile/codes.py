"""Every diagnostic code of the bake language, with what it means. Codes are stable: never reuse, never renumber."""

from __future__ import annotations

# 0xx: the text itself
SYNTAX = "HB-BAKE-001"
CHARACTER = "HB-BAKE-002"
STRING = "HB-BAKE-003"
HEREDOC = "HB-BAKE-004"
BRACKET = "HB-BAKE-005"
TEMPLATE = "HB-BAKE-006"
NUMBER = "HB-BAKE-007"
DUPLICATE_ATTRIBUTE = "HB-BAKE-008"
LABEL = "HB-BAKE-009"
JSON_SYNTAX = "HB-BAKE-010"
LIMIT = "HB-BAKE-011"
ENCODING = "HB-BAKE-012"

# 02x-03x: names and expressions
UNKNOWN_VARIABLE = "HB-BAKE-020"
UNKNOWN_FUNCTION = "HB-BAKE-021"
CYCLE = "HB-BAKE-022"
OPERAND = "HB-BAKE-023"
ATTRIBUTE_ACCESS = "HB-BAKE-024"
INDEX = "HB-BAKE-025"
CONDITIONAL = "HB-BAKE-026"
ITERATION = "HB-BAKE-027"
OBJECT_KEY = "HB-BAKE-028"
INTERPOLATION = "HB-BAKE-029"
CALL_ARGUMENTS = "HB-BAKE-030"
CALL_FAILED = "HB-BAKE-031"
REFERENCE = "HB-BAKE-032"

# 04x-05x: blocks
VARIABLE_VALUE = "HB-BAKE-040"
VARIABLE_TYPE = "HB-BAKE-041"
VALIDATION = "HB-BAKE-042"
FUNCTION_DEFINITION = "HB-BAKE-043"
ATTRIBUTE_TYPE = "HB-BAKE-044"
ATTRIBUTE_VALUE = "HB-BAKE-045"
NAME = "HB-BAKE-046"
MATRIX = "HB-BAKE-047"
MISSING_ATTRIBUTE = "HB-BAKE-048"
LOCALS = "HB-BAKE-049"
DUPLICATE_BLOCK = "HB-BAKE-050"

# 06x: warnings
UNKNOWN_BLOCK = "HB-BAKE-060"
UNKNOWN_ATTRIBUTE = "HB-BAKE-061"
LOCALS_EXTENSION = "HB-BAKE-062"
RESERVED_NAME = "HB-BAKE-063"

#: What each code means, for the reference page.
MEANINGS: dict[str, str] = {
    SYNTAX: "the text is not HCL: a token stands where it cannot stand",
    CHARACTER: "a character or operator that the language does not have",
    STRING: "a quoted string that is not closed, or an escape sequence that does not exist",
    HEREDOC: "a heredoc without its closing marker",
    BRACKET: "brackets that do not match, or are never closed",
    TEMPLATE: "`%{ if }` / `%{ for }` directives that do not belong together",
    NUMBER: "a number that cannot be read",
    DUPLICATE_ATTRIBUTE: "the same attribute twice in one body",
    LABEL: "a block with too few or too many labels, or a label that is a template",
    JSON_SYNTAX: "the text is not JSON, or not the JSON form of HCL",
    LIMIT: "a limit that protects this machine was exceeded; the message names it",
    ENCODING: "the file is not UTF-8",
    UNKNOWN_VARIABLE: "a name that nothing defines",
    UNKNOWN_FUNCTION: "a function that does not exist",
    CYCLE: "a value, function or target attribute that needs itself",
    OPERAND: "an operator applied to a value of the wrong type",
    ATTRIBUTE_ACCESS: "`.name` of something that has no such attribute",
    INDEX: "`[key]` of something that has no such element",
    CONDITIONAL: "a condition that is not a bool, or two results of different kinds",
    ITERATION: "`for` or `[*]` over something that cannot be iterated",
    OBJECT_KEY: "an object key that is null, ambiguous, or produced twice",
    INTERPOLATION: "a value that cannot be put into a string",
    CALL_ARGUMENTS: "a function call with wrong arguments",
    CALL_FAILED: "a function that cannot do what it was asked",
    REFERENCE: "`target` or `group` used in a way that is not a reference",
    VARIABLE_VALUE: "a variable whose value (default, environment or --var) does not fit",
    VARIABLE_TYPE: "a type expression that cannot be read",
    VALIDATION: "a validation block whose condition does not hold",
    FUNCTION_DEFINITION: "a function block that is incomplete or wrong",
    ATTRIBUTE_TYPE: "an attribute of a block with a value of the wrong type",
    ATTRIBUTE_VALUE: "an attribute of a block with a value that means nothing",
    NAME: "a target or group name with forbidden characters, or given twice",
    MATRIX: "a matrix that is not a map of lists, or is used where there is none",
    MISSING_ATTRIBUTE: "a block without an attribute that it needs",
    LOCALS: "a `locals` block that cannot be resolved",
    DUPLICATE_BLOCK: "a nested block that may stand only once",
    UNKNOWN_BLOCK: "warning: a block that bake ignores",
    UNKNOWN_ATTRIBUTE: "warning: an attribute that bake ignores",
    LOCALS_EXTENSION: "warning: `locals` are hpcbake's own; plain buildx ignores them",
    RESERVED_NAME: "warning: a variable or function that cannot take effect under this name",
}
