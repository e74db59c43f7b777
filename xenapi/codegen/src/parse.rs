//! Reads the datamodel files.

use crate::model::{
    Change, Class, Derived, Enum, ErrorCode, Field, Flags, HttpAction, LeastRole, Lifecycle, Literal, Message, Param,
    Qualifier, Release, Role, Transition, Type,
};
use crate::scan::{Token, scan};

/// Why a file is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected {expected}, found {found}")]
pub struct ParseError {
    line: usize,
    expected: String,
    found: String,
}

impl ParseError {
    pub(crate) fn new(line: usize, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            line,
            expected: expected.into(),
            found: found.into(),
        }
    }
}

type Result<T> = std::result::Result<T, ParseError>;

/// Reads a file of `classes/`.
///
/// # Errors
/// Where the text is not a class.
pub fn class(text: &str) -> Result<Class> {
    Parser::new(text)?.whole(Parser::class)
}

/// Reads `enums.model`.
///
/// # Errors
/// Where the text is not a list of enums.
pub fn enums(text: &str) -> Result<Vec<Enum>> {
    Parser::new(text)?.whole(|parser| parser.until_end(Parser::enumeration))
}

/// Reads `errors.model`.
///
/// # Errors
/// Where the text is not a list of error codes.
pub fn errors(text: &str) -> Result<Vec<ErrorCode>> {
    Parser::new(text)?.whole(|parser| parser.until_end(Parser::error_code))
}

/// Reads `http_actions.model`.
///
/// # Errors
/// Where the text is not a list of HTTP actions.
pub fn http_actions(text: &str) -> Result<Vec<HttpAction>> {
    Parser::new(text)?.whole(|parser| parser.until_end(Parser::http_action))
}

/// Reads `releases.model`.
///
/// # Errors
/// Where the text is not a list of releases.
pub fn releases(text: &str) -> Result<Vec<Release>> {
    Parser::new(text)?.whole(|parser| parser.until_end(Parser::release))
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
}

impl Parser {
    fn new(text: &str) -> Result<Self> {
        Ok(Self {
            tokens: scan(text)?,
            next: 0,
        })
    }

    fn whole<T>(mut self, part: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let value = part(&mut self)?;
        if self.at_end() {
            Ok(value)
        } else {
            Err(self.expected("the end of the file"))
        }
    }

    fn until_end<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = Vec::new();
        while !self.at_end() {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn at_end(&self) -> bool {
        self.next == self.tokens.len()
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn expected(&self, what: impl Into<String>) -> ParseError {
        match self.tokens.get(self.next).or(self.tokens.last()) {
            Some((line, token)) if !self.at_end() => ParseError::new(*line, what, token.to_string()),
            last => ParseError::new(last.map_or(1, |(line, _)| *line), what, "the end of the file"),
        }
    }

    fn takes_sign(&mut self, sign: &'static str) -> bool {
        let found = self.peek() == Some(&Token::Sign(sign));
        self.next += usize::from(found);
        found
    }

    fn sign(&mut self, sign: &'static str) -> Result<()> {
        if self.takes_sign(sign) {
            Ok(())
        } else {
            Err(self.expected(format!("`{sign}`")))
        }
    }

    fn takes_word(&mut self, wanted: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(word)) if word == wanted);
        self.next += usize::from(found);
        found
    }

    fn keyword(&mut self, wanted: &str) -> Result<()> {
        if self.takes_word(wanted) {
            Ok(())
        } else {
            Err(self.expected(wanted))
        }
    }

    fn word(&mut self, what: &str) -> Result<String> {
        match self.peek() {
            Some(Token::Word(word)) => {
                let word = word.clone();
                self.next += 1;
                Ok(word)
            }
            _ => Err(self.expected(what)),
        }
    }

    /// A word that one of `values` answers to.
    fn one_of<T: Copy>(&mut self, what: &str, values: &[T], word: impl Fn(T) -> &'static str) -> Result<T> {
        values
            .iter()
            .copied()
            .find(|value| self.takes_word(word(*value)))
            .ok_or_else(|| self.expected(what))
    }

    /// A word, or any text in quotes.
    fn name(&mut self, what: &str) -> Result<String> {
        match self.peek() {
            Some(Token::Text(text)) => {
                let text = text.clone();
                self.next += 1;
                Ok(text)
            }
            _ => self.word(what),
        }
    }

    /// Items with commas in between, up to the closing sign.
    fn list<T>(&mut self, end: &'static str, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = Vec::new();
        while !self.takes_sign(end) {
            if !items.is_empty() {
                self.sign(",")?;
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn class(&mut self) -> Result<Class> {
        self.keyword("class")?;
        let name = self.word("the class's name")?;
        self.sign("|")?;
        let lifecycle = self.lifecycle()?;
        let (mut database, mut events, mut constructor) = (false, false, false);
        while self.takes_sign("|") {
            match self.word("a flag of the class")?.as_str() {
                "database" => database = true,
                "events" => events = true,
                "constructor" => constructor = true,
                _ => return Err(self.unknown("database, events or constructor")),
            }
        }
        let mut allows = Vec::new();
        while self.takes_word("allows") {
            let role = self.role()?;
            self.sign(":")?;
            loop {
                allows.push((self.one_of("a derived message", &Derived::ALL, Derived::word)?, role));
                if !self.takes_sign(",") {
                    break;
                }
            }
        }
        let mut fields = Vec::new();
        if self.takes_word("fields") {
            while !self.at_end() && !matches!(self.peek(), Some(Token::Word(word)) if word == "messages") {
                fields.push(self.field()?);
            }
        }
        let messages = if self.takes_word("messages") {
            self.until_end(Self::message)?
        } else {
            Vec::new()
        };
        Ok(Class {
            name,
            lifecycle,
            database,
            events,
            constructor,
            allows,
            fields,
            messages,
        })
    }

    fn unknown(&mut self, expected: &str) -> ParseError {
        self.next -= 1;
        self.expected(expected)
    }

    fn field(&mut self) -> Result<Field> {
        let qualifier = match self.word("rw, static or dynamic")?.as_str() {
            "rw" => Qualifier::ReadWrite,
            "static" => Qualifier::Static,
            "dynamic" => Qualifier::Dynamic,
            _ => return Err(self.unknown("rw, static or dynamic")),
        };
        let Param { name, ty, default } = self.param()?;
        self.sign("|")?;
        let lifecycle = self.lifecycle()?;
        let mut field = Field {
            name,
            ty,
            qualifier,
            default,
            lifecycle,
            get: None,
            set: None,
            effect: false,
            transient: false,
            internal: false,
        };
        while self.takes_sign("|") {
            match self.word("a flag of the field")?.as_str() {
                "get" => field.get = Some(self.role()?),
                "set" => field.set = Some(self.role()?),
                "effect" => field.effect = true,
                "transient" => field.transient = true,
                "internal" => field.internal = true,
                _ => return Err(self.unknown("get, set, effect, transient or internal")),
            }
        }
        Ok(field)
    }

    fn message(&mut self) -> Result<Message> {
        let name = self.word("the message's name")?;
        self.sign("(")?;
        let params = self.list(")", Self::param)?;
        let result = if self.takes_sign("->") { Some(self.ty()?) } else { None };
        self.keyword("by")?;
        let role = self.role()?;
        self.sign("|")?;
        let lifecycle = self.lifecycle()?;
        let mut flags = Flags::default();
        while self.takes_sign("|") {
            match self.word("a flag of the message")?.as_str() {
                "sync" => flags.sync = true,
                "sessionless" => flags.sessionless = true,
                "secret" => flags.secret = true,
                "pool-internal" => flags.pool_internal = true,
                "hidden" => flags.hidden = true,
                "db-only" => flags.db_only = true,
                "no-effect" => flags.no_effect = true,
                _ => return Err(self.unknown("a flag of the message")),
            }
        }
        let mut errors = Vec::new();
        if self.takes_word("errors") {
            loop {
                errors.push(self.word("an error code")?);
                if !self.takes_sign(",") {
                    break;
                }
            }
        }
        Ok(Message {
            name,
            params,
            result,
            role,
            lifecycle,
            errors,
            flags,
        })
    }

    fn param(&mut self) -> Result<Param> {
        let name = self.word("a name")?;
        self.sign(":")?;
        let ty = self.ty()?;
        let default = if self.takes_sign("=") {
            Some(self.literal()?)
        } else {
            None
        };
        Ok(Param { name, ty, default })
    }

    fn ty(&mut self) -> Result<Type> {
        Ok(match self.word("a type")?.as_str() {
            "string" => Type::String,
            "secret" => Type::Secret,
            "int" => Type::Int,
            "float" => Type::Float,
            "bool" => Type::Bool,
            "datetime" => Type::DateTime,
            "enum" => Type::Enum(self.word("the enum's name")?),
            "ref" => Type::Ref(self.word("the class's name")?),
            "record" => Type::Record(self.word("the class's name")?),
            "set" => {
                self.sign("(")?;
                let item = self.ty()?;
                self.sign(")")?;
                Type::Set(item.into())
            }
            "option" => {
                self.sign("(")?;
                let item = self.ty()?;
                self.sign(")")?;
                Type::Option(item.into())
            }
            "map" => {
                self.sign("(")?;
                let key = self.ty()?;
                self.sign(",")?;
                let value = self.ty()?;
                self.sign(")")?;
                Type::Map(key.into(), value.into())
            }
            _ => return Err(self.unknown("a type")),
        })
    }

    fn literal(&mut self) -> Result<Literal> {
        if self.takes_sign("[") {
            return Ok(Literal::Set(self.list("]", Self::literal)?));
        }
        if self.takes_sign("{") {
            let entries = self.list("}", |parser| {
                let key = parser.name("a key")?;
                parser.sign(":")?;
                Ok((key, parser.literal()?))
            })?;
            return Ok(Literal::Map(entries));
        }
        if let Some(Token::Text(_)) = self.peek() {
            return Ok(Literal::String(self.name("a text")?));
        }
        let word = self.word("a value")?;
        Ok(match word.as_str() {
            "null" => Literal::Null,
            "true" => Literal::Bool(true),
            "false" => Literal::Bool(false),
            number => match (number.parse(), number.parse()) {
                (Ok(whole), _) => Literal::Int(whole),
                (_, Ok(number)) => Literal::Float(number),
                _ => return Err(self.unknown("null, true, false, a number or a quoted text")),
            },
        })
    }

    fn lifecycle(&mut self) -> Result<Lifecycle> {
        let mut steps = Vec::new();
        loop {
            let change = self.one_of("published or another change", &Change::ALL, Change::word)?;
            let release = self.word("a release")?;
            steps.push(Transition { change, release });
            if !self.takes_sign(",") {
                return Ok(Lifecycle(steps));
            }
        }
    }

    fn role(&mut self) -> Result<Role> {
        let word = self.word("a role")?;
        let (least, client_cert) = match word.strip_suffix("+client-cert") {
            Some(least) => (least, true),
            None => (word.as_str(), false),
        };
        match LeastRole::ALL.into_iter().find(|role| role.word() == least) {
            Some(least) => Ok(Role { least, client_cert }),
            None => Err(self.unknown("a role")),
        }
    }

    fn enumeration(&mut self) -> Result<Enum> {
        self.keyword("enum")?;
        let name = self.word("the enum's name")?;
        self.sign("{")?;
        let mut values = Vec::new();
        while !self.takes_sign("}") {
            values.push(self.name("a value")?);
        }
        Ok(Enum { name, values })
    }

    fn error_code(&mut self) -> Result<ErrorCode> {
        let name = self.word("an error code")?;
        self.sign("(")?;
        let params = self.list(")", |parser| parser.name("a parameter's name"))?;
        Ok(ErrorCode { name, params })
    }

    fn http_action(&mut self) -> Result<HttpAction> {
        let name = self.word("the action's name")?;
        let method = self.word("the HTTP method")?;
        let path = self.word("the path")?;
        self.sign("(")?;
        let args = self.list(")", |parser| parser.param().map(|param| (param.name, param.ty)))?;
        self.keyword("by")?;
        let role = self.role()?;
        let sdk = self.takes_sign("|");
        if sdk {
            self.keyword("sdk")?;
        }
        Ok(HttpAction {
            name,
            method,
            path,
            args,
            sdk,
            role,
        })
    }

    fn release(&mut self) -> Result<Release> {
        self.keyword("release")?;
        let code_name = self.word("the code name, or - for none")?;
        let branding = self.name("the product's name")?;
        self.keyword("api")?;
        let version = self.word("the version of the API")?;
        let parts = version
            .split_once('.')
            .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let api = parts.ok_or_else(|| self.unknown("a version such as 2.15"))?;
        let date = match self.peek() {
            Some(Token::Text(_)) => Some(self.name("a date")?),
            _ => None,
        };
        Ok(Release {
            code_name: (code_name != "-").then_some(code_name),
            branding,
            api,
            date,
        })
    }
}
