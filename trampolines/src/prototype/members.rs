//! Structs, unions and enums, with their members or without (C11, 6.7.2.1 and 6.7.2.2).

use super::ast::{Member, Type};
use super::error::{Problem, PrototypeError};
use super::lexer::Token;
use super::parser::Parser;
use super::specifiers;
use crate::signature::Scalar;

/// The most members of one struct or union. C compilers need to support 1023 (C11, 5.2.4.1).
const MAX_MEMBERS: usize = 1023;

impl Parser<'_> {
    /// `struct tag`, `union { ... }`, `enum tag { ... }`.
    pub(super) fn tagged(&mut self) -> Result<Type, PrototypeError> {
        let keyword = match self.token() {
            Token::Word("struct") => "struct",
            Token::Word("union") => "union",
            _ => "enum",
        };
        self.advance();
        self.attribute = None;
        self.ignored()?;
        let tag = match self.token() {
            Token::Word(tag) if !specifiers::is_keyword(tag) => {
                self.advance();
                Some(tag.to_owned())
            }
            Token::Punct('{') => None,
            _ => return Err(self.expected(&format!("the name of the {keyword}"))),
        };
        let defined = self.token() == Token::Punct('{');
        if keyword == "enum" {
            if defined {
                self.enumerators()?;
            }
            return Ok(Type::Scalar(Scalar::INT));
        }
        if !defined {
            let tag = tag.expect("without a tag, `{` follows");
            let known = self.tags.get(&tag).cloned().or_else(|| self.names.tag(&tag));
            return Ok(known.unwrap_or(Type::Record { keyword, tag: Some(tag), members: None }));
        }
        let members = self.nested(Parser::members)?;
        self.ignored()?;
        if let Some(at) = self.attribute {
            let message = format!("attributes of a {keyword} or its members may change where they lie; leave them out");
            return Err(self.error_at(at, Problem::Meaning(message)));
        }
        let ty = Type::Record { keyword, tag: tag.clone(), members: Some(members.into()) };
        if let Some(tag) = tag {
            self.tags.insert(tag, ty.clone());
        }
        Ok(ty)
    }

    /// `{ int x, y : 3; struct { float u; }; }`
    fn members(&mut self) -> Result<Vec<Member>, PrototypeError> {
        self.advance();
        let mut members = Vec::new();
        // An attribute of a struct inside would be forgotten otherwise.
        let mut attribute = self.attribute;
        while !self.accept('}') {
            let at = self.at();
            let ty = self.specifiers()?;
            loop {
                let declaration = self.declared(at, ty.clone())?;
                let bits = if self.accept(':') { Some(self.expression()?) } else { None };
                self.ignored()?;
                attribute = attribute.or(self.attribute);
                members.push(Member { declaration, bits });
                if members.len() > MAX_MEMBERS {
                    let message = format!("a struct or union has at most {MAX_MEMBERS} members");
                    return Err(self.error_at(at, Problem::Meaning(message)));
                }
                if !self.accept(',') {
                    break;
                }
            }
            self.expect(';', "`;`, `,` or `:` after a member")?;
        }
        self.attribute = attribute;
        Ok(members)
    }

    /// `{ RED, GREEN = 3 }`: what their values are is of no interest.
    fn enumerators(&mut self) -> Result<(), PrototypeError> {
        self.advance();
        while !self.accept('}') {
            match self.token() {
                Token::Word(name) if !specifiers::is_keyword(name) => self.advance(),
                _ => return Err(self.expected("an enumerator or `}`")),
            }
            if self.accept('=') {
                while !matches!(self.token(), Token::Punct(',' | '}' | '{' | ';') | Token::End) {
                    self.advance();
                }
            }
            if !self.accept(',') && self.token() != Token::Punct('}') {
                return Err(self.expected("`,` or `}` after an enumerator"));
            }
        }
        Ok(())
    }
}
