//! Declarations and declarators (C11, 6.7.6), by recursive descent.
//!
//! A declarator reads from the name outward: `(*cb)(int)` is a pointer, to a function. So each is parsed to a list of
//! derivations in that order, which are applied to the specifiers' type from the last to the first.

use super::ast::{Annotation, Declaration, Expr, Function, Type};
use super::error::{Problem, PrototypeError};
use super::lexer::{Located, Token, tokens};
use super::names::TypeNames;
use super::specifiers;
use std::collections::HashMap;

/// How deep parentheses may be nested, and how many pointers, arrays and functions a declarator may be made of: C compilers need to
/// support 12 (C11, 5.2.4.1); unlimited, a prototype could use up the stack.
const MAX_DEPTH: u32 = 64;

/// The most parameters of a function. C compilers need to support 127 (C11, 5.2.4.1).
pub(super) const MAX_PARAMS: usize = 255;

pub(super) struct Parser<'a> {
    pub(super) names: &'a TypeNames,
    text: &'a str,
    tokens: Vec<Located<'a>>,
    position: usize,
    depth: u32,
    /// structs and unions that this text defines, by their tags
    pub(super) tags: HashMap<String, Type>,
    /// where the last compiler's attribute stood
    pub(super) attribute: Option<usize>,
    /// whether `const` has been skipped
    pub(super) constant: bool,
}

/// A step from a name to the specifiers' type.
enum Derivation {
    Pointer,
    Array { len: Option<Expr>, at_least: bool },
    Function { params: Vec<Declaration>, annotations: Vec<Annotation> },
}

#[derive(Default)]
struct Declarator {
    name: Option<String>,
    derivations: Vec<Derivation>,
    annotations: Vec<Annotation>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, names: &'a TypeNames) -> Result<Parser<'a>, PrototypeError> {
        let tokens = tokens(text)?;
        Ok(Parser {
            names,
            text,
            tokens,
            position: 0,
            depth: 0,
            tags: HashMap::new(),
            attribute: None,
            constant: false,
        })
    }

    /// A whole prototype.
    pub(super) fn prototype(mut self) -> Result<Declaration, PrototypeError> {
        let declaration = self.declaration()?;
        self.ignored()?;
        while self.accept(';') {}
        self.end(declaration)
    }

    /// A whole type, without a name or, as in a header, `typedef ... name;` with just this one. Also the tags that it defines.
    pub(super) fn type_name(mut self, named: &str) -> Result<(Type, HashMap<String, Type>), PrototypeError> {
        let named = (self.token() == Token::Word("typedef")).then_some(named);
        let declaration = self.declaration()?;
        if let Some(name) = declaration.name.as_deref().filter(|&name| Some(name) != named) {
            let message = format!("a type has no name of its own; leave `{name}` out");
            return Err(self.error_at(declaration.at, Problem::Meaning(message)));
        }
        while self.accept(';') {}
        if let Some(annotation) = declaration.annotations.first() {
            let message = "annotations belong to parameters and results, not to a type".to_owned();
            return Err(self.error_at(annotation.at, Problem::Meaning(message)));
        }
        let ty = self.end(declaration)?.ty;
        Ok((ty, self.tags))
    }

    fn end(&self, declaration: Declaration) -> Result<Declaration, PrototypeError> {
        match self.token() {
            Token::End => Ok(declaration),
            _ => Err(self.expected("the end of the prototype")),
        }
    }

    /// Specifiers and a declarator, which may lack a name.
    pub(super) fn declaration(&mut self) -> Result<Declaration, PrototypeError> {
        let at = self.at();
        let ty = self.specifiers()?;
        self.declared(at, ty)
    }

    /// The declarator behind specifiers that begin at a place.
    pub(super) fn declared(&mut self, at: usize, mut ty: Type) -> Result<Declaration, PrototypeError> {
        let declarator = self.declarator()?;
        for derivation in declarator.derivations.into_iter().rev() {
            ty = match derivation {
                Derivation::Pointer => Type::Pointer(Box::new(ty)),
                Derivation::Array { len, at_least } => Type::Array { element: Box::new(ty), len, at_least },
                Derivation::Function { params, annotations } => {
                    Type::Function(Box::new(Function { params, result: ty, annotations }))
                }
            };
        }
        Ok(Declaration { at, name: declarator.name, ty, annotations: declarator.annotations })
    }

    fn declarator(&mut self) -> Result<Declarator, PrototypeError> {
        let mut pointers = 0;
        loop {
            self.ignored()?;
            if !self.accept('*') {
                break;
            }
            pointers += 1;
            self.limit(pointers)?;
        }
        let mut declarator = self.direct_declarator()?;
        declarator.derivations.extend((0..pointers).map(|_| Derivation::Pointer));
        self.limit(declarator.derivations.len() as u32)?;
        Ok(declarator)
    }

    fn direct_declarator(&mut self) -> Result<Declarator, PrototypeError> {
        let mut declarator = match self.token() {
            Token::Word(name) if !specifiers::is_keyword(name) => {
                self.advance();
                Declarator { name: Some(name.to_owned()), ..Declarator::default() }
            }
            Token::Punct('(') if self.opens_declarator() => self.nested(|parser| {
                parser.advance();
                let inner = parser.declarator()?;
                parser.expect(')', "`)` after the declarator")?;
                Ok(inner)
            })?,
            _ => Declarator::default(),
        };
        // Annotations after a parameter list are the result's; all others belong to what is declared.
        let first = declarator.derivations.len();
        loop {
            self.ignored()?;
            match self.token() {
                Token::Punct('[') if self.opens_annotation() => {
                    let annotations = match declarator.derivations[first..].last_mut() {
                        Some(Derivation::Function { annotations, .. }) => annotations,
                        _ => &mut declarator.annotations,
                    };
                    self.annotations(annotations)?;
                }
                Token::Punct('[') => declarator.derivations.push(self.array()?),
                Token::Punct('(') => declarator.derivations.push(self.nested(Parser::parameters)?),
                _ => return Ok(declarator),
            }
            self.limit(declarator.derivations.len() as u32)?;
        }
    }

    /// Whether `(` at this place, where no name has stood yet, opens a declarator and not a list of parameters. Of a typedef name that
    /// nobody defined C could not tell; it is taken as the declarator's name where a declarator goes on behind it.
    fn opens_declarator(&self) -> bool {
        match (self.token_after(1), self.token_after(2)) {
            (Token::Punct('*' | '(' | '['), _) => true,
            (Token::Word(word), Token::Punct('(' | '[')) => {
                !specifiers::is_keyword(word) && self.names.get(word).is_none()
            }
            (Token::Word(word), Token::Punct(')')) => {
                !specifiers::is_keyword(word)
                    && self.names.get(word).is_none()
                    && matches!(self.token_after(3), Token::Punct('(' | '['))
            }
            _ => false,
        }
    }

    /// `[n]`, `[static n]`, `[]`, `[*]`.
    fn array(&mut self) -> Result<Derivation, PrototypeError> {
        self.advance();
        let mut at_least = false;
        while let Token::Word(word) = self.token() {
            at_least |= word == "static";
            let position = self.position;
            self.ignored()?;
            if self.position == position {
                break;
            }
        }
        let unsized_ = self.token() == Token::Punct(']')
            || (self.token() == Token::Punct('*') && self.token_after(1) == Token::Punct(']') && self.accept('*'));
        let len = if unsized_ { None } else { Some(self.expression()?) };
        self.expect(']', "`]` after the array's length")?;
        Ok(Derivation::Array { len, at_least })
    }

    /// `(int a, void *b, ...)`, `(void)`, `()`.
    fn parameters(&mut self) -> Result<Derivation, PrototypeError> {
        self.advance();
        let mut params = Vec::new();
        if self.token() == Token::Word("void") && self.token_after(1) == Token::Punct(')') {
            self.advance();
        }
        while self.token() != Token::Punct(')') {
            if self.token() == Token::Ellipsis {
                let at = self.at();
                self.advance();
                let mut annotations = Vec::new();
                while self.token() == Token::Punct('[') && self.opens_annotation() {
                    self.annotations(&mut annotations)?;
                }
                params.push(Declaration { at, name: None, ty: Type::Ellipsis, annotations });
                break;
            }
            if params.len() == MAX_PARAMS {
                let message = format!("a function has at most {MAX_PARAMS} parameters");
                return Err(self.error_at(self.at(), Problem::Meaning(message)));
            }
            params.push(self.declaration()?);
            if self.token() == Token::Punct(')') {
                break;
            }
            self.expect(',', "`,` or `)` after a parameter")?;
            if self.token() == Token::Punct(')') {
                return Err(self.expected("another parameter"));
            }
        }
        self.expect(')', "`)` after the parameters")?;
        Ok(Derivation::Function { params, annotations: Vec::new() })
    }

    /// Parses one level deeper.
    pub(super) fn nested<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, PrototypeError>,
    ) -> Result<T, PrototypeError> {
        self.depth += 1;
        self.limit(self.depth)?;
        let result = parse(self)?;
        self.depth -= 1;
        Ok(result)
    }

    fn limit(&self, depth: u32) -> Result<(), PrototypeError> {
        if depth <= MAX_DEPTH {
            return Ok(());
        }
        let message = format!("the prototype is nested more than {MAX_DEPTH} deep");
        Err(self.error_at(self.at(), Problem::Meaning(message)))
    }

    pub(super) fn token(&self) -> Token<'a> {
        self.tokens[self.position].token
    }

    pub(super) fn token_after(&self, count: usize) -> Token<'a> {
        self.tokens.get(self.position + count).map_or(Token::End, |located| located.token)
    }

    /// Byte offset of the next token.
    pub(super) fn at(&self) -> usize {
        self.tokens[self.position].at
    }

    /// Goes on to the next token; stays on [`Token::End`].
    pub(super) fn advance(&mut self) {
        self.position = (self.position + 1).min(self.tokens.len() - 1);
    }

    pub(super) fn accept(&mut self, punct: char) -> bool {
        let found = self.token() == Token::Punct(punct);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn expect(&mut self, punct: char, expected: &str) -> Result<(), PrototypeError> {
        if self.accept(punct) { Ok(()) } else { Err(self.expected(expected)) }
    }

    /// The error that something else was expected in the place of the next token.
    pub(super) fn expected(&self, expected: &str) -> PrototypeError {
        let problem = Problem::Syntax { found: self.token().to_string(), expected: expected.to_owned() };
        self.error_at(self.at(), problem)
    }

    pub(super) fn error_at(&self, at: usize, problem: Problem) -> PrototypeError {
        PrototypeError::new(self.text, at, problem)
    }
}
