//! What is wrong with a prototype, and where.

use std::fmt;

/// Why a prototype was refused.
///
/// It prints as the message, the line of the prototype, and a caret below the place:
///
/// ```text
/// expected `,` or `)` after a parameter, found `;`
///   int f(int a;
///              ^
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrototypeError {
    /// the whole prototype
    pub text: String,
    /// line of the place, from 1
    pub line: usize,
    /// column of the place in its line, in characters, from 1
    pub column: usize,
    /// what is wrong
    pub problem: Problem,
}

/// What is wrong with a prototype.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The text does not go on as C or the annotations do.
    Syntax {
        /// what stands there
        found: String,
        /// what could stand there
        expected: String,
    },
    /// The text is well formed but means nothing that can be called.
    Meaning(String),
    /// A C type or annotation that is understood but cannot cross yet.
    Unsupported {
        /// the construct
        what: String,
        /// whose it is: "parameter 2, `point`" or "the result"
        place: String,
    },
}

impl PrototypeError {
    /// An error at a byte offset of the text.
    pub(crate) fn new(text: &str, offset: usize, problem: Problem) -> PrototypeError {
        let offset = text.floor_char_boundary(offset);
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        PrototypeError {
            text: text.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem,
        }
    }
}

impl fmt::Display for PrototypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.text.lines().nth(self.line - 1).unwrap_or("");
        writeln!(f, "{}", self.problem)?;
        writeln!(f, "  {}", line.replace('\t', " "))?;
        write!(f, "  {:>column$}", '^', column = self.column)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Syntax { found, expected } => write!(f, "expected {expected}, found {found}"),
            Problem::Meaning(message) => f.write_str(message),
            Problem::Unsupported { what, place } => write!(f, "{place}: {what} is not supported yet"),
        }
    }
}

impl std::error::Error for PrototypeError {}
