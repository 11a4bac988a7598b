//! Annotations in square brackets, and the expressions in them.
//!
//! ```text
//! annotations = "[" annotation { "," annotation } "]"
//! annotation  = "user" | "nonnull" | "nullable" | "shadow" | "leaf" | ( "handle" | "str" ) [ ":" length ]
//!             | ( "in" | "out" | "inout" ) [ "handle" | "str" | "user" | "shadow" ] [ ":" length ] | "valid" ":" sum
//!             | "scope" ":" ( "call" | "once" | "forever" | "until" NAME )
//! length      = "NULL" | sum
//! sum         = product { ( "+" | "-" ) product }
//! product     = factor { "*" factor }
//! factor      = NUMBER | NAME | "*" NAME | "return" | "(" sum ")"
//! ```

use super::ast::{Annotation, AnnotationKind, ElementKind, Expr, Length, Operator};
use super::error::{Problem, PrototypeError};
use super::lexer::Token;
use super::parser::Parser;
use crate::signature::{Direction, Scope};

/// The most operators in one expression: it is a tree that is walked by recursion.
const MAX_OPERATORS: u32 = 64;

/// Words that begin an annotation. A bracket that begins with another word is an array's.
fn is_annotation(word: &str) -> bool {
    let words =
        ["user", "nonnull", "nullable", "handle", "str", "in", "out", "inout", "valid", "shadow", "scope", "leaf"];
    words.contains(&word)
}

impl Parser<'_> {
    pub(super) fn opens_annotation(&self) -> bool {
        matches!(self.token_after(1), Token::Word(word) if is_annotation(word))
    }

    /// One bracket of annotations, added to `annotations`.
    pub(super) fn annotations(&mut self, annotations: &mut Vec<Annotation>) -> Result<(), PrototypeError> {
        self.advance();
        loop {
            let at = self.at();
            let kind = self.annotation()?;
            annotations.push(Annotation { at, kind });
            if self.accept(']') {
                return Ok(());
            }
            self.expect(',', "`,` or `]` after an annotation")?;
        }
    }

    fn annotation(&mut self) -> Result<AnnotationKind, PrototypeError> {
        let Token::Word(word) = self.token() else { return Err(self.expected("an annotation")) };
        if !is_annotation(word) {
            let words = "an annotation: `user`, `handle`, `str`, `in`, `out`, `inout`, `valid`, `shadow`, `nonnull`, `nullable`, `scope` or `leaf`";
            return Err(self.expected(words));
        }
        self.advance();
        Ok(match word {
            "user" => AnnotationKind::User,
            "nonnull" => AnnotationKind::Nonnull,
            "shadow" => AnnotationKind::Shadow,
            "leaf" => AnnotationKind::Leaf,
            "nullable" => AnnotationKind::Nullable,
            "handle" => AnnotationKind::Handle(self.length()?),
            "str" => AnnotationKind::Str(self.length()?),
            "in" => self.extent(Direction::In)?,
            "out" => self.extent(Direction::Out)?,
            "inout" => self.extent(Direction::InOut)?,
            "valid" => {
                self.expect(':', "`:` and how many elements after `valid`")?;
                AnnotationKind::Valid(self.expression()?)
            }
            _ => AnnotationKind::Scope(self.scope()?),
        })
    }

    fn extent(&mut self, direction: Direction) -> Result<AnnotationKind, PrototypeError> {
        let kind = match self.token() {
            Token::Word("handle") => Some(ElementKind::Handle),
            Token::Word("str") => Some(ElementKind::Str),
            Token::Word("user") => Some(ElementKind::User),
            Token::Word("shadow") => Some(ElementKind::Shadow),
            _ => None,
        };
        if kind.is_some() {
            self.advance();
        }
        Ok(AnnotationKind::Extent(direction, kind, self.length()?))
    }

    fn length(&mut self) -> Result<Option<Length>, PrototypeError> {
        if !self.accept(':') {
            return Ok(None);
        }
        if self.token() == Token::Word("NULL") {
            self.advance();
            return Ok(Some(Length::Terminated));
        }
        self.expression().map(|count| Some(Length::Count(count)))
    }

    fn scope(&mut self) -> Result<Scope, PrototypeError> {
        self.expect(':', "`:` after `scope`")?;
        let scope = match self.token() {
            Token::Word("call") => Scope::Call,
            Token::Word("once") => Scope::Once,
            Token::Word("forever") => Scope::Forever,
            Token::Word("until") => {
                self.advance();
                let Token::Word(name) = self.token() else {
                    return Err(self.expected("the name of the function that ends it"));
                };
                Scope::Until(name.to_owned())
            }
            _ => return Err(self.expected("`call`, `once`, `forever` or `until` and a function's name")),
        };
        self.advance();
        Ok(scope)
    }

    /// An expression over parameters and constants.
    pub(super) fn expression(&mut self) -> Result<Expr, PrototypeError> {
        self.sum(&mut 0)
    }

    fn sum(&mut self, operators: &mut u32) -> Result<Expr, PrototypeError> {
        let mut left = self.product(operators)?;
        loop {
            let operator = match self.token() {
                Token::Punct('+') => Operator::Add,
                Token::Punct('-') => Operator::Sub,
                _ => return Ok(left),
            };
            self.operator(operators)?;
            let right = self.product(operators)?;
            left = Expr::Binary { operator, left: Box::new(left), right: Box::new(right) };
        }
    }

    fn product(&mut self, operators: &mut u32) -> Result<Expr, PrototypeError> {
        let mut left = self.factor(operators)?;
        while self.token() == Token::Punct('*') {
            self.operator(operators)?;
            let right = self.factor(operators)?;
            left = Expr::Binary { operator: Operator::Mul, left: Box::new(left), right: Box::new(right) };
        }
        Ok(left)
    }

    fn operator(&mut self, operators: &mut u32) -> Result<(), PrototypeError> {
        *operators += 1;
        if *operators > MAX_OPERATORS {
            let message = format!("an expression has at most {MAX_OPERATORS} operators");
            return Err(self.error_at(self.at(), Problem::Meaning(message)));
        }
        self.advance();
        Ok(())
    }

    fn factor(&mut self, operators: &mut u32) -> Result<Expr, PrototypeError> {
        let at = self.at();
        match self.token() {
            Token::Number(value) => {
                self.advance();
                Ok(Expr::Const(value))
            }
            Token::Word("return") => {
                self.advance();
                Ok(Expr::Result { at })
            }
            Token::Word(name) => {
                self.advance();
                Ok(Expr::Name { name: name.to_owned(), at })
            }
            Token::Punct('*') => {
                self.advance();
                let Token::Word(name) = self.token() else {
                    return Err(self.expected("the name of a pointer parameter after `*`"));
                };
                self.advance();
                Ok(Expr::Deref { name: name.to_owned(), at })
            }
            Token::Punct('(') => self.nested(|parser| {
                parser.advance();
                let inner = parser.sum(operators)?;
                parser.expect(')', "`)`, `+`, `-` or `*` in the expression")?;
                Ok(inner)
            }),
            _ => Err(self.expected("a number, a parameter's name, `*` and a parameter's name, or `(`")),
        }
    }
}
