//! The words before a declarator: `static const unsigned long int`, in any order (C11, 6.7.2).

use super::ast::Type;
use super::error::{Problem, PrototypeError};
use super::lexer::Token;
use super::parser::Parser;
use crate::signature::Scalar;

/// The words of a type, counted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Words {
    void: u8,
    bool_: u8,
    char_: u8,
    short: u8,
    int: u8,
    long: u8,
    signed: u8,
    unsigned: u8,
    float: u8,
    double: u8,
    complex: u8,
    int128: u8,
}

impl Words {
    /// The counter of a word that names a type, if it is one.
    fn counter(&mut self, word: &str) -> Option<&mut u8> {
        Some(match word {
            "void" => &mut self.void,
            "_Bool" => &mut self.bool_,
            "char" => &mut self.char_,
            "short" => &mut self.short,
            "int" => &mut self.int,
            "long" => &mut self.long,
            "signed" | "__signed__" => &mut self.signed,
            "unsigned" => &mut self.unsigned,
            "float" => &mut self.float,
            "double" => &mut self.double,
            "_Complex" => &mut self.complex,
            "__int128" => &mut self.int128,
            _ => return None,
        })
    }

    /// The type that the words name together; `None` if they do not go together.
    fn resolve(mut self) -> Option<Type> {
        // The parts that may be left out: `int` beside `short`, `long` and a sign; `signed` everywhere but with `char`,
        // where it changes nothing here because `char` has a sign on both sides.
        let (unsigned, signed) = (self.unsigned, self.signed);
        if unsigned + signed > 1 {
            return None;
        }
        (self.unsigned, self.signed) = (0, 0);
        if self.short + self.long + unsigned + signed > 0 && self.char_ + self.int128 + self.double == 0 {
            self.int = self.int.max(1);
        }
        let is = |words: Words| self == words;
        let zero = Words::default;
        let integer = |signed: Scalar, other: Scalar| Some(Type::Scalar(if unsigned == 1 { other } else { signed }));
        if is(Words { char_: 1, ..zero() }) {
            integer(Scalar::CHAR, Scalar::UCHAR)
        } else if is(Words { short: 1, int: 1, ..zero() }) {
            integer(Scalar::SHORT, Scalar::USHORT)
        } else if is(Words { int: 1, ..zero() }) {
            integer(Scalar::INT, Scalar::UINT)
        } else if is(Words { long: 1, int: 1, ..zero() }) {
            integer(Scalar::LONG, Scalar::ULONG)
        } else if is(Words { long: 2, int: 1, ..zero() }) {
            integer(Scalar::LONG_LONG, Scalar::ULONG_LONG)
        } else if is(Words { int128: 1, ..zero() }) {
            Some(Type::Wide("`__int128`"))
        } else if unsigned + signed > 0 {
            None
        } else if is(Words { void: 1, ..zero() }) {
            Some(Type::Void)
        } else if is(Words { bool_: 1, ..zero() }) {
            Some(Type::Scalar(Scalar::Bool))
        } else if is(Words { float: 1, ..zero() }) {
            Some(Type::Scalar(Scalar::Float))
        } else if is(Words { double: 1, ..zero() }) {
            Some(Type::Scalar(Scalar::Double))
        } else if is(Words { long: 1, double: 1, ..zero() }) {
            Some(Type::Wide("`long double`"))
        } else if is(Words { float: 1, complex: 1, ..zero() }) {
            Some(Type::Wide("`float _Complex`"))
        } else if is(Words { double: 1, complex: 1, ..zero() }) || is(Words { complex: 1, ..zero() }) {
            Some(Type::Wide("`double _Complex`"))
        } else if is(Words { long: 1, double: 1, complex: 1, ..zero() }) {
            Some(Type::Wide("`long double _Complex`"))
        } else {
            None
        }
    }
}

/// Words that say nothing about how values cross, but for `const`: C does not write there.
fn is_ignored(word: &str) -> bool {
    matches!(
        word,
        "const"
            | "volatile"
            | "restrict"
            | "__restrict"
            | "__restrict__"
            | "__const"
            | "__volatile__"
            | "_Atomic"
            | "extern"
            | "static"
            | "inline"
            | "__inline"
            | "__inline__"
            | "register"
            | "typedef"
            | "_Noreturn"
            | "__extension__"
            | "_Nonnull"
            | "_Nullable"
    )
}

fn is_tagged(word: &str) -> bool {
    matches!(word, "struct" | "union" | "enum")
}

/// Whether the word is one of C's that belongs to a type or a declaration, and so is no name.
pub(super) fn is_keyword(word: &str) -> bool {
    Words::default().counter(word).is_some() || is_ignored(word) || is_tagged(word) || is_attribute(word)
}

fn is_attribute(word: &str) -> bool {
    matches!(word, "__attribute__" | "__attribute" | "__asm__" | "__asm")
}

impl Parser<'_> {
    /// Parses specifiers and qualifiers up to the declarator.
    pub(super) fn specifiers(&mut self) -> Result<Type, PrototypeError> {
        let start = self.at();
        let mut words = Words::default();
        let mut named: Option<Type> = None;
        let mut constant = false;
        loop {
            self.constant = false;
            self.ignored()?;
            constant |= self.constant;
            let Token::Word(word) = self.token() else { break };
            let typed = named.is_some() || words != Words::default();
            if let Some(counter) = words.counter(word) {
                *counter = counter.saturating_add(1);
                self.advance();
            } else if is_tagged(word) && !typed {
                named = Some(self.tagged()?);
            } else if !is_tagged(word) && !typed {
                named = Some(self.names.get(word).unwrap_or_else(|| Type::Unknown(word.to_owned())));
                self.advance();
            } else {
                break;
            }
        }
        let ty = self.named_or_words(named, words, start)?;
        Ok(if constant { Type::Const(Box::new(ty)) } else { ty })
    }

    fn named_or_words(&self, named: Option<Type>, words: Words, start: usize) -> Result<Type, PrototypeError> {
        match named {
            Some(ty) if words == Words::default() => Ok(ty),
            Some(Type::Unknown(name)) => {
                let message = format!("`{name}` is not a known type or word of C; leave macros out of the prototype");
                Err(self.error_at(start, Problem::Meaning(message)))
            }
            None if words == Words::default() => Err(self.expected("a type")),
            named => {
                let resolved = if named.is_none() { words.resolve() } else { None };
                resolved.ok_or_else(|| {
                    let message = "these words do not make a C type together".to_owned();
                    self.error_at(start, Problem::Meaning(message))
                })
            }
        }
    }

    /// Skips words that do not matter, and compilers' attributes with all that is in them.
    pub(super) fn ignored(&mut self) -> Result<(), PrototypeError> {
        while let Token::Word(word) = self.token() {
            if is_attribute(word) {
                self.attribute = Some(self.at());
                self.advance();
                self.balanced()?;
            } else if is_ignored(word) {
                self.constant |= matches!(word, "const" | "__const");
                self.advance();
            } else {
                break;
            }
        }
        Ok(())
    }

    /// Skips `( ... )` with any parentheses inside.
    fn balanced(&mut self) -> Result<(), PrototypeError> {
        let mut open = 0u32;
        loop {
            match self.token() {
                Token::Punct('(') => open += 1,
                Token::Punct(')') if open > 0 => open -= 1,
                Token::End => return Err(self.expected("`)`")),
                _ if open == 0 => return Err(self.expected("`(` after the attribute")),
                _ => {}
            }
            self.advance();
            if open == 0 {
                return Ok(());
            }
        }
    }
}
