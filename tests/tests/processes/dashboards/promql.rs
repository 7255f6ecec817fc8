//! As much of PromQL as tells which metrics, labels and values a query asks for. Precedence is none of it, and
//! `promtool` judges the grammar (`tests/dashboards/check`).

/// A query, or a part of one.
#[derive(Debug, PartialEq)]
pub(super) enum Expr {
    /// `name{label="value"}`, with or without a range.
    Selector { name: String, matchers: Vec<Matcher> },
    /// `sum by (labels) (…)`.
    Grouped {
        labels: Vec<String>,
        without: bool,
        of: Vec<Expr>,
    },
    /// A function.
    Call { function: String, arguments: Vec<Expr> },
    /// `left + on (labels) right`.
    Binary {
        left: Box<Expr>,
        on: Option<Vec<String>>,
        right: Box<Expr>,
    },
    /// A text.
    Text(String),
    /// A number.
    Number,
}

/// What a selector says of a label.
#[derive(Debug, PartialEq)]
pub(super) struct Matcher {
    pub(super) label: String,
    /// `=`, `!=`, `=~` or `!~`.
    pub(super) operator: String,
    pub(super) value: String,
}

const AGGREGATIONS: [&str; 12] = [
    "sum",
    "min",
    "max",
    "avg",
    "count",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "quantile",
    "count_values",
];
const OPERATORS: [&str; 15] = [
    "+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless",
];

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A name or a keyword.
    Word(String),
    Text(String),
    /// A number or a duration.
    Number,
    Sign(String),
}

/// Reads a query.
pub(super) fn parse(query: &str) -> Result<Expr, String> {
    let mut parser = Parser {
        tokens: tokens(query)?,
        next: 0,
    };
    let expression = parser.expression()?;
    match parser.tokens.get(parser.next) {
        None => Ok(expression),
        Some(token) => Err(format!("{token:?} was not expected in {query}")),
    }
}

fn tokens(query: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = |fits: fn(char) -> bool| rest.find(|character| !fits(character)).unwrap_or(rest.len());
        let taken = if first.is_ascii_alphabetic() || first == '_' {
            let length = length(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | ':'));
            tokens.push(Token::Word(rest[..length].to_owned()));
            length
        } else if first.is_ascii_digit() {
            tokens.push(Token::Number);
            length(|character| character.is_ascii_alphanumeric() || character == '.')
        } else if first == '"' {
            let (text, length) = text(rest).ok_or_else(|| format!("a text does not end in {query}"))?;
            tokens.push(Token::Text(text));
            length
        } else {
            let two = rest
                .get(..2)
                .filter(|two| ["=~", "!~", "!=", "==", ">=", "<="].contains(two));
            let sign = two.unwrap_or(&rest[..first.len_utf8()]);
            tokens.push(Token::Sign(sign.to_owned()));
            sign.len()
        };
        rest = rest[taken..].trim_start();
    }
    Ok(tokens)
}

/// A quoted text at the beginning, and how long it is with its quotes.
fn text(quoted: &str) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut characters = quoted.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((text, at + 1)),
            '\\' => text.push(characters.next()?.1),
            other => text.push(other),
        }
    }
    None
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
}

impl Parser {
    fn expression(&mut self) -> Result<Expr, String> {
        let mut left = self.operand()?;
        while let Some(operator) = self.peek_name()
            && OPERATORS.contains(&operator)
        {
            self.next += 1;
            self.take("bool");
            let on = match self.peek_name() {
                Some("on") => {
                    self.next += 1;
                    Some(self.labels()?)
                }
                Some("ignoring") => {
                    self.next += 1;
                    self.labels()?;
                    None
                }
                _ => None,
            };
            if (self.take("group_left") || self.take("group_right")) && self.peek_name() == Some("(") {
                self.labels()?;
            }
            let right = Box::new(self.operand()?);
            left = Expr::Binary {
                left: Box::new(left),
                on,
                right,
            };
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Expr, String> {
        let operand = self.primary()?;
        if self.take("[") {
            while !self.take("]") {
                self.token()?;
            }
        }
        if self.take("offset") {
            self.token()?;
        }
        Ok(operand)
    }

    fn primary(&mut self) -> Result<Expr, String> {
        match self.token()? {
            Token::Number => Ok(Expr::Number),
            Token::Text(text) => Ok(Expr::Text(text)),
            Token::Sign(sign) if sign == "(" => {
                let inner = self.expression()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Sign(sign) if sign == "-" || sign == "+" => self.primary(),
            Token::Sign(sign) => Err(format!("{sign} was not expected")),
            Token::Word(word) if ["inf", "nan"].contains(&word.to_lowercase().as_str()) => Ok(Expr::Number),
            Token::Word(word) if AGGREGATIONS.contains(&word.as_str()) => self.aggregation(),
            Token::Word(function) if self.peek_name() == Some("(") => {
                let arguments = self.arguments()?;
                Ok(Expr::Call { function, arguments })
            }
            Token::Word(name) => {
                let matchers = self.matchers()?;
                Ok(Expr::Selector { name, matchers })
            }
        }
    }

    fn aggregation(&mut self) -> Result<Expr, String> {
        let before = self.grouping()?;
        let of = self.arguments()?;
        let grouping = match before {
            Some(grouping) => Some(grouping),
            None => self.grouping()?,
        };
        let (labels, without) = grouping.unwrap_or_default();
        Ok(Expr::Grouped { labels, without, of })
    }

    fn grouping(&mut self) -> Result<Option<(Vec<String>, bool)>, String> {
        let without = self.peek_name() == Some("without");
        if self.take("by") || self.take("without") {
            return Ok(Some((self.labels()?, without)));
        }
        Ok(None)
    }

    fn arguments(&mut self) -> Result<Vec<Expr>, String> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        while !self.take(")") {
            arguments.push(self.expression()?);
            self.take(",");
        }
        Ok(arguments)
    }

    fn labels(&mut self) -> Result<Vec<String>, String> {
        self.expect("(")?;
        let mut labels = Vec::new();
        while !self.take(")") {
            labels.push(self.word()?);
            self.take(",");
        }
        Ok(labels)
    }

    fn matchers(&mut self) -> Result<Vec<Matcher>, String> {
        let mut matchers = Vec::new();
        if !self.take("{") {
            return Ok(matchers);
        }
        while !self.take("}") {
            let label = self.word()?;
            let (Token::Sign(operator), Token::Text(value)) = (self.token()?, self.token()?) else {
                return Err(format!("the label {label} is not matched with a text"));
            };
            matchers.push(Matcher { label, operator, value });
            self.take(",");
        }
        Ok(matchers)
    }

    fn token(&mut self) -> Result<Token, String> {
        let token = self.tokens.get(self.next).cloned().ok_or("it ends too early")?;
        self.next += 1;
        Ok(token)
    }

    fn word(&mut self) -> Result<String, String> {
        match self.token()? {
            Token::Word(word) => Ok(word),
            other => Err(format!("{other:?} is no name")),
        }
    }

    fn peek_name(&self) -> Option<&str> {
        match self.tokens.get(self.next)? {
            Token::Word(name) | Token::Sign(name) => Some(name),
            Token::Text(_) | Token::Number => None,
        }
    }

    fn take(&mut self, name: &str) -> bool {
        let is_next = self.peek_name() == Some(name);
        self.next += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, name: &str) -> Result<(), String> {
        if self.take(name) {
            return Ok(());
        }
        Err(format!("{name} is missing before {:?}", self.tokens.get(self.next)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(name: &str) -> Expr {
        Expr::Selector {
            name: name.to_owned(),
            matchers: Vec::new(),
        }
    }

    #[test]
    fn names_labels_and_values_are_read() {
        let read =
            parse("sum by (le, kind) (rate(a_bucket{kind=~\"b|c\", le!=\"\\\"1\\\"\"}[5m] offset 15m))").unwrap();
        let matcher = |label: &str, operator: &str, value: &str| Matcher {
            label: label.to_owned(),
            operator: operator.to_owned(),
            value: value.to_owned(),
        };
        let series = Expr::Selector {
            name: "a_bucket".to_owned(),
            matchers: vec![matcher("kind", "=~", "b|c"), matcher("le", "!=", "\"1\"")],
        };
        let rate = Expr::Call {
            function: "rate".to_owned(),
            arguments: vec![series],
        };
        let labels = vec!["le".to_owned(), "kind".to_owned()];
        let without = false;
        assert_eq!(
            read,
            Expr::Grouped {
                labels: labels.clone(),
                without,
                of: vec![rate]
            }
        );
        let after = parse("sum(a) by (le, kind)").unwrap();
        assert_eq!(
            after,
            Expr::Grouped {
                labels,
                without,
                of: vec![selector("a")]
            }
        );
    }

    #[test]
    fn operators_are_read_with_what_they_match_on() {
        let binary = |left, on: Option<&[&str]>, right| Expr::Binary {
            left: Box::new(left),
            on: on.map(|labels| labels.iter().map(|label| (*label).to_owned()).collect()),
            right: Box::new(right),
        };
        for (query, read) in [
            (
                "a / on (b, c) group_left () d",
                binary(selector("a"), Some(&["b", "c"]), selector("d")),
            ),
            ("a and on () d", binary(selector("a"), Some(&[]), selector("d"))),
            ("a > bool -1.5", binary(selector("a"), None, Expr::Number)),
            ("(a) < +Inf", binary(selector("a"), None, Expr::Number)),
            (
                "a or b unless c",
                binary(binary(selector("a"), None, selector("b")), None, selector("c")),
            ),
        ] {
            assert_eq!(parse(query).unwrap(), read, "{query}");
        }
    }

    #[test]
    fn what_is_no_query_is_refused() {
        for query in [
            "sum(rate(a[5m])",
            "a b",
            "a{kind=1}",
            "a{\"b\"",
            "sum by a (b)",
            "",
            "a +",
        ] {
            assert!(parse(query).is_err(), "{query}");
        }
    }
}
