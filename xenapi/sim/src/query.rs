//! The expressions of `get_all_where` and `get_all_records_where`.

use xenapi::Value;

use crate::error::{ApiError, Result};

/// A condition on the fields of a record, for example `field "power_state"="Running" and not (field "name__label"="x")`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expression {
    True,
    False,
    Equal(Operand, Operand),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    Field(String),
    Literal(String),
}

/// How deep an expression may nest.
const DEPTH: usize = 64;

impl Expression {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut parser = Parser {
            tokens: tokens(text).unwrap_or_default(),
            at: 0,
        };
        match parser.either(0) {
            Some(expression) if parser.at == parser.tokens.len() => Ok(expression),
            _ => Err(ApiError::internal("Parsing.Parse_error")),
        }
    }

    /// Whether a record satisfies it.
    pub(crate) fn holds(&self, record: &Value) -> bool {
        match self {
            Self::True => true,
            Self::False => false,
            Self::Equal(left, right) => left.text(record) == right.text(record),
            Self::Not(inner) => !inner.holds(record),
            Self::And(left, right) => left.holds(record) && right.holds(record),
            Self::Or(left, right) => left.holds(record) || right.holds(record),
        }
    }
}

impl Operand {
    fn text(&self, record: &Value) -> Option<String> {
        let name = match self {
            Self::Literal(text) => return Some(text.clone()),
            // The database joins namespaces with two underscores, the wire with one.
            Self::Field(name) => name.replace("__", "_"),
        };
        match record.get(&name)? {
            Value::String(text) => Some(text.clone()),
            Value::Int(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            Value::Float(number) => Some(number.to_string()),
            Value::DateTime(time) => Some(time.to_string()),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(&next) = rest.peek() {
        if next.is_whitespace() {
            rest.next();
        } else if next == '"' || next == '\'' {
            rest.next();
            let mut quoted = String::new();
            loop {
                match rest.next()? {
                    '\\' => quoted.push(rest.next()?),
                    end if end == next => break,
                    other => quoted.push(other),
                }
            }
            tokens.push(Token::Text(quoted));
        } else if next.is_alphanumeric() || next == '_' {
            let mut word = String::new();
            while let Some(letter) = rest.next_if(|letter| letter.is_alphanumeric() || *letter == '_') {
                word.push(letter);
            }
            tokens.push(Token::Word(word));
        } else {
            rest.next();
            tokens.push(Token::Sign(next));
        }
    }
    Some(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn skip(&mut self, wanted: &Token) -> bool {
        let found = self.tokens.get(self.at) == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, wanted: &str) -> bool {
        self.skip(&Token::Word(wanted.to_owned()))
    }

    fn either(&mut self, depth: usize) -> Option<Expression> {
        let mut left = self.both(depth)?;
        while self.word("or") {
            left = Expression::Or(left.into(), self.both(depth)?.into());
        }
        Some(left)
    }

    fn both(&mut self, depth: usize) -> Option<Expression> {
        let mut left = self.single(depth)?;
        while self.word("and") {
            left = Expression::And(left.into(), self.single(depth)?.into());
        }
        Some(left)
    }

    fn single(&mut self, depth: usize) -> Option<Expression> {
        if depth > DEPTH {
            return None;
        }
        if self.skip(&Token::Sign('(')) {
            let inner = self.either(depth + 1)?;
            return self.skip(&Token::Sign(')')).then_some(inner);
        }
        if self.word("not") {
            return Some(Expression::Not(self.single(depth + 1)?.into()));
        }
        if self.word("true") {
            return Some(Expression::True);
        }
        if self.word("false") {
            return Some(Expression::False);
        }
        let left = self.operand()?;
        self.skip(&Token::Sign('=')).then_some(())?;
        Some(Expression::Equal(left, self.operand()?))
    }

    fn operand(&mut self) -> Option<Operand> {
        match self.next()? {
            Token::Word(word) if word == "field" => match self.next()? {
                Token::Text(name) => Some(Operand::Field(name)),
                _ => None,
            },
            Token::Text(text) => Some(Operand::Literal(text)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xenapi::ToValue;

    #[test]
    fn conditions_look_at_fields() {
        let record = Value::Struct(vec![
            ("name_label".to_owned(), "web".to_value()),
            ("is_a_template".to_owned(), Value::Bool(false)),
            ("VCPUs_max".to_owned(), Value::Int(2)),
        ]);
        for (text, expected) in [
            ("true", true),
            ("false or true", true),
            (r#"field "name__label"="web""#, true),
            (r#"field "is_a_template" = "true""#, false),
            (r#"not (field "is_a_template"="true") and field "VCPUs__max"="2""#, true),
        ] {
            assert_eq!(
                Expression::parse(text).map(|expression| expression.holds(&record)),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_expression() {
        let deep = "(".repeat(10_000);
        for text in ["", "field", "\"open", "true true", "field \"a\" \"b\"", deep.as_str()] {
            assert!(Expression::parse(text).is_err(), "{text:.20}");
        }
    }
}
