//! Telephone numbers in E.164, so that one person writing from WhatsApp and typed into a form is one contact.
//!
//! Brazilian numbers may be written with or without +55, and old mobile numbers without their ninth digit
//! (Anatel resolution 553/2010 put a 9 before the eight digits of every mobile number): both give one value.
//! Numbers of other countries need their `+`.

use super::{invalid::Invalid, text_value::text_value};

/// A number in E.164: `+`, country code and number, 8 to 15 digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone(String);

text_value!(Phone, "A telephone number in E.164", "+5511912345678", private);

/// The area codes in use in Brazil (DDD).
const AREA_CODES: &[u8] = &[
    11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22, 24, 27, 28, 31, 32, 33, 34, 35, 37, 38, 41, 42, 43, 44, 45,
    46, 47, 48, 49, 51, 53, 54, 55, 61, 62, 63, 64, 65, 66, 67, 68, 69, 71, 73, 74, 75, 77, 79, 81, 82, 83,
    84, 85, 86, 87, 88, 89, 91, 92, 93, 94, 95, 96, 97, 98, 99,
];

impl Phone {
    /// Reads a number; spaces, parentheses, hyphens, dots, slashes and the marks of writing direction that phones copy
    /// along are ignored.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        let value = value.trim_matches(|c: char| c.is_whitespace() || is_invisible(c));
        if value.is_empty() {
            return Err(Invalid::required());
        }
        if value.chars().nth(40).is_some() {
            return Err(Invalid::too_long(40));
        }
        let international = value.strip_prefix('+').or_else(|| value.strip_prefix("00"));
        let digits = digits_of(international.unwrap_or(value)).ok_or_else(refused)?;
        if international.is_none() {
            let digits = digits.strip_prefix('0').unwrap_or(&digits);
            // The country code without its plus is only told from an area code by the length.
            return match digits.len() {
                12..=14 => brazilian(digits.strip_prefix("55").ok_or_else(refused)?),
                _ => brazilian(digits),
            };
        }
        match digits.strip_prefix("55") {
            Some(national) => brazilian(national),
            None if (8..=15).contains(&digits.len()) && !digits.starts_with('0') => {
                Ok(Self(format!("+{digits}")))
            }
            None => Err(refused()),
        }
    }

    /// The digits of a Brazilian mobile number as they were before it was given its ninth digit, and as whoever had WhatsApp then is still
    /// called there; of the numbers that had no ninth digit then. `digits` has the country code.
    pub fn without_ninth_digit(digits: &str) -> Option<String> {
        let (area, number) = digits.strip_prefix("55")?.split_at_checked(2)?;
        let number = number.strip_prefix('9').filter(|number| number.len() == 8)?;
        number
            .starts_with(['6', '7', '8', '9'])
            .then(|| format!("55{area}{number}"))
    }

    /// Whether the number is a Brazilian one.
    pub fn is_brazilian(&self) -> bool {
        self.0.starts_with("+55")
    }
}

fn refused() -> Invalid {
    Invalid::format("must be a telephone number with area code, or with + and country code")
}

/// The words to search for when somebody types a number or a part of one: its digits, those of the one form in which
/// numbers are kept when it is a whole number. `None` for any other text.
pub fn searched_digits(text: &str) -> Option<String> {
    if let Ok(Phone(number)) = Phone::parse(text) {
        return number.strip_prefix('+').map(str::to_owned);
    }
    // A date or a fraction is none.
    let part = (!text.contains('/')).then(|| text.trim().trim_start_matches('+'))?;
    digits_of(part).filter(|digits| digits.len() >= 5)
}

/// What writes a number's direction and is not seen.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn digits_of(text: &str) -> Option<String> {
    // Hyphens and spaces of all kinds: what is copied from a page has them.
    let is_mark = |c: char| {
        matches!(
            c,
            ' ' | '\u{a0}' | '\u{2007}' | '\u{2009}' | '\u{202f}' | '(' | ')' | '-' | '.' | '/'
        ) || matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}')
            || is_invisible(c)
    };
    let digits: String = text.chars().filter(|&c| !is_mark(c)).collect();
    digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits)
}

/// `national`: area code and number, perhaps with the 0 before it that is dialled in Brazil.
fn brazilian(national: &str) -> Result<Phone, Invalid> {
    // No area code begins with 0.
    let national = national.strip_prefix('0').unwrap_or(national);
    let (area, number) = national.split_at_checked(2).ok_or_else(refused)?;
    if !area.parse().is_ok_and(|area: u8| AREA_CODES.contains(&area)) {
        return Err(Invalid::format("has an unknown Brazilian area code"));
    }
    let first = number.bytes().next().unwrap_or_default();
    match (number.len(), first) {
        (9, b'9') | (8, b'2'..=b'5') => Ok(Phone(format!("+55{area}{number}"))),
        (8, b'6'..=b'9') => Ok(Phone(format!("+55{area}9{number}"))),
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(value: &str) -> Result<String, &'static str> {
        Phone::parse(value)
            .map(String::from)
            .map_err(|refusal| refusal.code)
    }

    #[test]
    fn spellings_of_a_mobile_are_one_number() {
        for value in [
            "+55 (11) 91234-5678",
            "5511912345678",
            "11912345678",
            "(11) 9 1234-5678",
            "011 91234-5678",
            "005511912345678",
            "+5511912345678",
            " 11 91234.5678 ",
            "+55 (011) 91234-5678",
            "55 011 91234-5678",
            "\u{202a}+55 11 91234\u{2011}5678\u{202c}",
            "11\u{a0}91234–5678",
        ] {
            assert_eq!(parse(value), Ok("+5511912345678".to_owned()), "{value}");
        }
        for value in [
            "11 8123-4567",
            "+55 11 8123-4567",
            "551181234567",
            "11 98123-4567",
        ] {
            assert_eq!(parse(value), Ok("+5511981234567".to_owned()), "{value}");
        }
    }

    #[test]
    fn old_mobiles_have_a_form_without_their_ninth_digit() {
        let old = |digits| Phone::without_ninth_digit(digits);
        assert_eq!(old("5511987650002").as_deref(), Some("551187650002"));
        for other in [
            "5511912345678",
            "551131234567",
            "551187650002",
            "12025550123",
            "55",
            "",
        ] {
            assert_eq!(old(other), None, "{other}");
        }
    }

    #[test]
    fn landlines_keep_eight_digits() {
        assert_eq!(parse("(11) 3123-4567"), Ok("+551131234567".to_owned()));
        assert_eq!(
            parse("55 3221-0000"),
            Ok("+555532210000".to_owned()),
            "area code 55"
        );
        assert_eq!(
            parse("55 99612-0000"),
            Ok("+5555996120000".to_owned()),
            "area code 55"
        );
    }

    #[test]
    fn other_countries_need_their_plus() {
        assert_eq!(parse("+1 (415) 555-2671"), Ok("+14155552671".to_owned()));
        assert_eq!(parse("+351 912 345 678"), Ok("+351912345678".to_owned()));
        assert_eq!(parse("351912345678"), Err("invalid_format"));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert_eq!(parse(&"1".repeat(41)), Err("too_long"));
        for value in [
            "123",
            "+55 0011 91234-5678",
            "11 91234-5678 ramal 2",
            "912345678",
            "20912345678",
            "11 1234-5678",
            "11 81234-5678",
            "+",
            "+0123456789",
            "+55",
            "+123456",
            "+1234567890123456",
            "11 9123x-5678",
            "++5511912345678",
            "11\0912345678",
            "١١٩١٢٣٤٥٦٧٨",
            "0800 123 4567",
        ] {
            assert_eq!(parse(value), Err("invalid_format"), "{value:?}");
        }
        assert_eq!(parse(" "), Err("required"));
    }

    #[test]
    fn what_is_typed_to_find_a_number_is_reduced_to_digits() {
        for (typed, searched) in [
            ("(11) 8123-4567", Some("5511981234567")),
            ("+55 11 98123-4567", Some("5511981234567")),
            ("98123-45", Some("9812345")),
            ("(11) 98", None),
            ("(11) 981", Some("11981")),
            ("10/2026", None),
            ("Ana 98123", None),
            ("", None),
            ("+", None),
        ] {
            assert_eq!(searched_digits(typed).as_deref(), searched, "{typed}");
        }
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in any::<String>(), near in "[+0-9() -]{0,20}") {
            let _ = Phone::parse(&text);
            let _ = (searched_digits(&text), searched_digits(&near));
            if let Ok(phone) = Phone::parse(&near) {
                prop_assert_eq!(Phone::parse(phone.as_str()), Ok(phone.clone()));
            }
        }

        #[test]
        fn the_ninth_digit_does_not_make_another_number(
            area in proptest::sample::select(AREA_CODES), first in 6..=9u8, rest in 0..10_000_000u32,
        ) {
            let old = Phone::parse(&format!("{area}{first}{rest:07}"));
            prop_assert!(old.is_ok());
            prop_assert_eq!(&old, &Phone::parse(&format!("+55{area}9{first}{rest:07}")));
            prop_assert_eq!(&old, &Phone::parse(&format!("55{area}{first}{rest:07}")));
        }

        #[test]
        fn no_spelling_makes_another_number(
            area in proptest::sample::select(AREA_CODES), rest in 0..100_000_000u32, old in any::<bool>(),
            prefix in proptest::sample::select(vec!["", "0", "55", "+55", "0055", "+55 0", "55 0", "\u{202a}+55 "]),
            open in "[ (]{0,2}", close in "[ )]{0,2}", mark in "[ .\u{a0}\u{2011}\u{2013}-]{0,2}",
        ) {
            let number = format!("9{rest:08}");
            let plain = Phone::parse(&format!("+55{area}{number}"));
            prop_assert!(plain.is_ok());
            // Only numbers that began with 6 to 9 ever had eight digits of a mobile.
            let cut = usize::from(old && rest >= 60_000_000);
            let (head, tail) = number[cut..].split_at(number.len() - cut - 4);
            let spelling = format!("{prefix}{open}{area}{close}{head}{mark}{tail}");
            prop_assert_eq!(plain, Phone::parse(&spelling), "{}", spelling);
        }

        #[test]
        fn two_numbers_stay_two(
            area in proptest::sample::select(AREA_CODES), other in proptest::sample::select(AREA_CODES),
            one in 900_000_000..1_000_000_000u32, two in 900_000_000..1_000_000_000u32, landline in 20_000_000..60_000_000u32,
        ) {
            let parse = |area: u8, number: u32| Phone::parse(&format!("{area}{number}")).ok();
            prop_assert_eq!(parse(area, one) == parse(other, two), (area, one) == (other, two));
            // A landline of the last eight digits is somebody else.
            prop_assert_ne!(parse(area, 900_000_000 + landline), parse(area, landline));
        }
    }
}
