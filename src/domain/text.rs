//! Free text within bounds.
//!
//! PostgreSQL cannot store NUL, and a name with a line break in it forges lines in logs and headers in e-mails;
//! everything else that people write is theirs. Lengths are counted in characters.

use super::{invalid::Invalid, text_value::text_value};

/// The name of a person, company or thing: one line, 1 to 200 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

text_value!(
    Name,
    "A name: one line, 1 to 200 characters",
    "Garage Alpha",
    private
);

impl Name {
    /// Most characters of a name.
    pub const MAX: usize = 200;

    /// Reads a name; space around it is dropped.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        line(value, Self::MAX).map(Self)
    }
}

/// One line of 1 to `max` characters, without control characters; space around it is dropped.
pub fn line(value: &str, max: usize) -> Result<String, Invalid> {
    let value = value.trim();
    if value.is_empty() {
        return Err(Invalid::required());
    }
    let breaks_line = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if value.contains(breaks_line) {
        return Err(Invalid::format("must be one line without control characters"));
    }
    within(value, max)
}

/// Text of up to `max` characters in any number of lines, kept as it is; NUL is refused. May be empty.
pub fn text(value: &str, max: usize) -> Result<String, Invalid> {
    if value.contains('\0') {
        return Err(Invalid::format("must not contain NUL"));
    }
    within(value, max)
}

fn within(value: &str, max: usize) -> Result<String, Invalid> {
    if value.chars().nth(max).is_some() {
        Err(Invalid::too_long(max))
    } else {
        Ok(value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_one_trimmed_line() {
        assert_eq!(
            Name::parse("  João D'Ávila \n").map(String::from),
            Ok("João D'Ávila".to_owned())
        );
        assert_eq!(Name::parse(" \t").map_err(|e| e.code), Err("required"));
        for value in ["a\0b", "a\nb", "a\u{85}b", "a\u{1b}[31mb", "a\u{2028}b"] {
            assert_eq!(
                Name::parse(value).map_err(|e| e.code),
                Err("invalid_format"),
                "{value:?}"
            );
        }
    }

    #[test]
    fn length_is_counted_in_characters() {
        assert!(Name::parse(&"é".repeat(200)).is_ok());
        assert_eq!(Name::parse(&"é".repeat(201)).map_err(|e| e.code), Err("too_long"));
        assert!(text("", 0).is_ok());
        assert_eq!(text("ab", 1).map_err(|e| e.code), Err("too_long"));
    }

    #[test]
    fn text_keeps_its_lines() {
        assert_eq!(text(" a\r\n\tb ", 10), Ok(" a\r\n\tb ".to_owned()));
        assert_eq!(text("a\0", 10).map_err(|e| e.code), Err("invalid_format"));
    }

    proptest! {
        #[test]
        fn a_name_is_its_own_normal_form(value in any::<String>()) {
            if let Ok(name) = Name::parse(&value) {
                prop_assert_eq!(Name::parse(name.as_str()), Ok(name.clone()));
            }
            let _ = text(&value, 5);
        }
    }
}
