//! Annotations in square brackets, and the expressions in them.
//!
//! ```text
//! annotations = "[" annotation { "," annotation } "]"
//! annotation  = "user" | "nonnull" | "nullable" | "shadow" | "externref" | "leaf" | "unwind" | ( "handle" | "str" ) [ ":" length ]
//!             | ( "in" | "out" | "inout" ) [ "handle" | "str" | "user" | "shadow" | "in" | "out" | "inout" ] [ ":" length ] | "valid" ":" sum
//!             | "window" ":" ( "read" | "write" )
//!             | "scope" ":" ( "call" | "once" | "forever" | "until" NAME )
//!             | "trap" ":" ( "return" | "abort" | "unwind" ) | "pending" ":" ( "default" | "run" )
//!             | "thread" ":" ( "refuse" | "wait" [ NUMBER ] | "queue" ) | "default" ":" [ "-" ] NUMBER
//!             | "format" [ ":" "printf" ] | "varargs" ":" declaration { "," declaration }
//! length      = "NULL" | sum
//! sum         = product { ( "+" | "-" ) product }
//! product     = factor { "*" factor }
//! factor      = NUMBER | NAME | "*" NAME | "return" | "(" sum ")"
//! ```

use super::ast::{Annotation, AnnotationKind, Declaration, ElementKind, Expr, Length, Operator};
use super::error::{Problem, PrototypeError};
use super::lexer::Token;
use super::parser::{MAX_PARAMS, Parser};
use crate::signature::{Direction, OnThread, OnTrap, Scope, WhilePending};

/// The most operators in one expression: it is a tree that is walked by recursion.
const MAX_OPERATORS: u32 = 64;

/// Words that begin an annotation. A bracket that begins with another word is an array's.
fn is_annotation(word: &str) -> bool {
    let words = [
        "user",
        "nonnull",
        "nullable",
        "handle",
        "externref",
        "str",
        "in",
        "out",
        "inout",
        "valid",
        "shadow",
        "format",
        "varargs",
        "scope",
        "leaf",
        "unwind",
        "window",
    ];
    words.contains(&word) || is_policy(word)
}

/// Words that begin an annotation where `:` follows them.
fn is_policy(word: &str) -> bool {
    matches!(word, "trap" | "pending" | "thread" | "default")
}

impl Parser<'_> {
    pub(super) fn opens_annotation(&self) -> bool {
        let Token::Word(word) = self.token_after(1) else { return false };
        is_annotation(word) && (!is_policy(word) || self.token_after(2) == Token::Punct(':'))
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
            let words = "an annotation: `user`, `handle`, `externref`, `str`, `in`, `out`, `inout`, `valid`, `shadow`, `window`, `format`, `varargs`, `nonnull`, `nullable`, `scope`, \
                 `trap`, `pending`, `thread`, `default`, `leaf` or `unwind`";
            return Err(self.expected(words));
        }
        self.advance();
        Ok(match word {
            "user" => AnnotationKind::User,
            "nonnull" => AnnotationKind::Nonnull,
            "shadow" => AnnotationKind::Shadow,
            "externref" => AnnotationKind::Externref,
            "leaf" => AnnotationKind::Leaf,
            "nullable" => AnnotationKind::Nullable,
            "handle" => AnnotationKind::Handle(self.length()?),
            "str" => AnnotationKind::Str(self.length()?),
            "window" => AnnotationKind::Window(self.window()?),
            "in" => self.extent(Direction::In)?,
            "out" => self.extent(Direction::Out)?,
            "inout" => self.extent(Direction::InOut)?,
            "valid" => {
                self.expect(':', "`:` and how many elements after `valid`")?;
                AnnotationKind::Valid(self.expression()?)
            }
            "trap" => AnnotationKind::Trap(self.trap()?),
            "pending" => AnnotationKind::Pending(self.pending()?),
            "thread" => AnnotationKind::Thread(self.thread()?),
            "default" => AnnotationKind::Default(self.default()?),
            "unwind" => AnnotationKind::Unwind,
            "format" => self.format()?,
            "varargs" => {
                self.expect(':', "`:` and the types of the arguments after `varargs`")?;
                AnnotationKind::VarArgs(self.nested(Parser::listed)?)
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
            Token::Word("in") => Some(ElementKind::To(Direction::In)),
            Token::Word("out") => Some(ElementKind::To(Direction::Out)),
            Token::Word("inout") => Some(ElementKind::To(Direction::InOut)),
            _ => None,
        };
        if kind.is_some() {
            self.advance();
        }
        Ok(AnnotationKind::Extent(direction, kind, self.length()?))
    }

    fn format(&mut self) -> Result<AnnotationKind, PrototypeError> {
        if self.accept(':') {
            match self.token() {
                Token::Word("printf") => self.advance(),
                Token::Word("scanf") => {
                    let message = "a format of `scanf` says where to write through pointers, and is not supported";
                    return Err(self.error_at(self.at(), Problem::Meaning(message.to_owned())));
                }
                _ => return Err(self.expected("`printf`")),
            }
        }
        Ok(AnnotationKind::Format)
    }

    /// Declarations up to the end of the bracket.
    fn listed(&mut self) -> Result<Vec<Declaration>, PrototypeError> {
        let mut listed = vec![self.declaration()?];
        while self.accept(',') {
            if listed.len() == MAX_PARAMS {
                let message = format!("at most {MAX_PARAMS} arguments can be listed");
                return Err(self.error_at(self.at(), Problem::Meaning(message)));
            }
            listed.push(self.declaration()?);
        }
        Ok(listed)
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

    /// Whether the app may write.
    fn window(&mut self) -> Result<bool, PrototypeError> {
        self.expect(':', "`:` after `window`")?;
        let write = match self.token() {
            Token::Word("read") => false,
            Token::Word("write") => true,
            _ => return Err(self.expected("`read` or `write`")),
        };
        self.advance();
        Ok(write)
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

    fn trap(&mut self) -> Result<OnTrap, PrototypeError> {
        self.expect(':', "`:` after `trap`")?;
        let trap = match self.token() {
            Token::Word("return") => OnTrap::Return,
            Token::Word("abort") => OnTrap::Abort,
            Token::Word("unwind") => OnTrap::Unwind,
            _ => return Err(self.expected("`return`, `abort` or `unwind`")),
        };
        self.advance();
        Ok(trap)
    }

    fn pending(&mut self) -> Result<WhilePending, PrototypeError> {
        self.expect(':', "`:` after `pending`")?;
        let pending = match self.token() {
            Token::Word("default") => WhilePending::Default,
            Token::Word("run") => WhilePending::Run,
            _ => return Err(self.expected("`default` or `run`")),
        };
        self.advance();
        Ok(pending)
    }

    fn thread(&mut self) -> Result<OnThread, PrototypeError> {
        self.expect(':', "`:` after `thread`")?;
        let thread = match self.token() {
            Token::Word("refuse") => OnThread::Refuse,
            Token::Word("wait") => {
                let Token::Number(ms) = self.token_after(1) else {
                    self.advance();
                    return Ok(OnThread::Wait { timeout_ms: None });
                };
                self.advance();
                let ms = u32::try_from(ms).ok().filter(|&ms| ms > 0);
                let ms = ms.ok_or_else(|| self.expected("a number of milliseconds from 1 to 4294967295"))?;
                OnThread::Wait { timeout_ms: Some(ms) }
            }
            Token::Word("queue") => OnThread::Queue,
            _ => return Err(self.expected("`refuse`, `wait` or `queue`")),
        };
        self.advance();
        Ok(thread)
    }

    fn default(&mut self) -> Result<i64, PrototypeError> {
        self.expect(':', "`:` after `default`")?;
        let negative = self.accept('-');
        let Token::Number(value) = self.token() else { return Err(self.expected("an integer")) };
        let signed = if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() };
        let signed = signed.ok_or_else(|| self.expected("an integer that fits 64 bits and a sign"))?;
        self.advance();
        Ok(signed)
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
