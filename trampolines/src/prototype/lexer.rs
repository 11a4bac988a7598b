//! Splits a prototype into tokens.

use super::error::{Problem, PrototypeError};
use std::fmt;

/// A token. Keywords are identifiers: the parser knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Word(&'a str),
    Number(u64),
    Punct(char),
    /// `...`
    Ellipsis,
    /// `"..."`, in compilers' attributes
    Quoted,
    End,
}

/// A token and the byte offset where it begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Located<'a> {
    pub(super) token: Token<'a>,
    pub(super) at: usize,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Word(word) => write!(f, "`{word}`"),
            Token::Number(number) => write!(f, "the number {number}"),
            Token::Punct(c) => write!(f, "`{c}`"),
            Token::Quoted => f.write_str("a string"),
            Token::Ellipsis => f.write_str("`...`"),
            Token::End => f.write_str("the end"),
        }
    }
}

/// Splits the text; the last token is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Located<'_>>, PrototypeError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let located = lexer.next()?;
        tokens.push(located);
        if located.token == Token::End {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Takes characters as long as they fit.
    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let len = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn next(&mut self) -> Result<Located<'a>, PrototypeError> {
        self.skip_blank()?;
        let at = self.at;
        let token = match self.rest().chars().next() {
            None => Token::End,
            Some(c) if is_word_start(c) => Token::Word(self.take_while(|c| is_word_start(c) || c.is_ascii_digit())),
            Some(c) if c.is_ascii_digit() => self.number()?,
            Some('.') if self.rest().starts_with("...") => {
                self.at += 3;
                Token::Ellipsis
            }
            Some('"') => {
                let Some(len) = self.rest()[1..].find('"') else {
                    return Err(self.error(at, "a string without an end".to_owned(), "`\"`"));
                };
                self.at += len + 2;
                Token::Quoted
            }
            Some(c) if "()[]{}*,;:+-=<>|&~".contains(c) => {
                self.at += 1;
                Token::Punct(c)
            }
            Some(c) => {
                let found = format!("`{}`", c.escape_debug());
                return Err(self.error(at, found, "a C prototype with annotations in square brackets"));
            }
        };
        Ok(Located { token, at })
    }

    /// Skips white space, comments, and the backslashes that join the lines of a macro.
    fn skip_blank(&mut self) -> Result<(), PrototypeError> {
        loop {
            let start = self.at;
            self.take_while(|c| c.is_whitespace() || c == '\\');
            if self.rest().starts_with("//") {
                self.take_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                let Some(len) = self.rest()[2..].find("*/") else {
                    return Err(self.error(start, "a comment without an end".to_owned(), "`*/`"));
                };
                self.at += len + 4;
            }
            if self.at == start {
                return Ok(());
            }
        }
    }

    /// A decimal, octal or hexadecimal integer, with C's suffixes.
    fn number(&mut self) -> Result<Token<'a>, PrototypeError> {
        let at = self.at;
        let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        let digits = word.trim_end_matches(['u', 'U', 'l', 'L']);
        let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
            Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16),
            None if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(&digits[1..], 8),
            None => digits.parse(),
        };
        value
            .map(Token::Number)
            .map_err(|_| self.error(at, format!("`{word}`"), "an integer constant of at most 64 bits"))
    }

    fn error(&self, at: usize, found: String, expected: &str) -> PrototypeError {
        PrototypeError::new(self.text, at, Problem::Syntax { found, expected: expected.to_owned() })
    }
}

fn is_word_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        let tokens = tokens(text).unwrap();
        tokens.iter().map(|t| t.token.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn tokens_are_told_apart() {
        assert_eq!(words("a1*(b...)"), "`a1` `*` `(` `b` `...` `)` the end");
        assert_eq!(words("0x10 010 7UL 0"), "the number 16 the number 8 the number 7 the number 0 the end");
    }

    #[test]
    fn comments_and_joined_lines_are_blank() {
        assert_eq!(words("a /* b\n */ c // d\n e \\\n f"), "`a` `c` `e` `f` the end");
    }

    #[test]
    fn what_is_no_token_is_refused_where_it_stands() {
        for (text, column) in
            [("int @", 5), ("a /* b", 2), ("f \"", 3), ("99999999999999999999", 1), ("1.5", 1), ("0xg", 1), ("é", 1)]
        {
            assert_eq!(tokens(text).unwrap_err().column, column, "{text}");
        }
    }
}
