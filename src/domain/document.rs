//! CPF and CNPJ: the numbers under which Brazilian people and companies are registered.
//!
//! Since July 2026 a CNPJ may hold letters (Receita Federal, IN RFB 2.229/2024): twelve positions of A–Z and 0–9 and two
//! check digits, each position counting as its ASCII code minus 48, which leaves the old numbers as they were.

use super::{invalid::Invalid, text_enum::text_enum, text_value::text_value};

text_enum! {
    /// Which register a document is of.
    pub enum DocumentKind {
        /// A person.
        Cpf = "cpf",
        /// A company.
        Cnpj = "cnpj",
    }
}

/// A CPF (11 digits) or CNPJ (14 characters, upper case), without punctuation, with correct check digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Document(String);

text_value!(
    Document,
    "A CPF or CNPJ without punctuation",
    "12ABC34501DE35",
    private
);

const CPF: usize = 11;
const CNPJ: usize = 14;

impl Document {
    /// Reads a document; dots, hyphens, slashes and spaces are ignored.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        let refused = || Invalid::format("must be a CPF (11 digits) or a CNPJ (14 characters)");
        if value.trim().is_empty() {
            return Err(Invalid::required());
        }
        if value.len() > 40 {
            return Err(refused());
        }
        let text: String = value
            .chars()
            .filter(|c| !matches!(c, '.' | '-' | '/' | ' '))
            .collect();
        let text = text.to_ascii_uppercase();
        let (body, given, modulus) = match text.len() {
            CPF if text.bytes().all(|b| b.is_ascii_digit()) => (text.get(..9), text.get(9..), 12),
            CNPJ if text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()) => {
                (text.get(..12), text.get(12..), 10)
            }
            _ => return Err(refused()),
        };
        let first = text.bytes().next().unwrap_or_default();
        let all_the_same = text.bytes().all(|byte| byte == first);
        let right = body
            .zip(given)
            .is_some_and(|(body, given)| check_digits(body, modulus) == given);
        if all_the_same || !right {
            return Err(Invalid::new(
                "invalid_check_digits",
                "is not a CPF or CNPJ: its check digits do not fit",
            ));
        }
        Ok(Self(text))
    }

    /// Which of the two it is.
    pub fn kind(&self) -> DocumentKind {
        if self.0.len() == CPF {
            DocumentKind::Cpf
        } else {
            DocumentKind::Cnpj
        }
    }

    /// As people write it: `529.982.247-25`, `12.ABC.345/01DE-35`.
    pub fn formatted(&self) -> String {
        let marks: &[(usize, char)] = match self.kind() {
            DocumentKind::Cpf => &[(3, '.'), (6, '.'), (9, '-')],
            DocumentKind::Cnpj => &[(2, '.'), (5, '.'), (8, '/'), (12, '-')],
        };
        let mut written = String::with_capacity(18);
        for (at, letter) in self.0.chars().enumerate() {
            written.extend(
                marks
                    .iter()
                    .filter(|(before, _)| *before == at)
                    .map(|(_, mark)| *mark),
            );
            written.push(letter);
        }
        written
    }
}

/// The two check digits of `body`: weights from the right 2, 3, … below `modulus`, then again from 2; the sum
/// modulo 11 gives the digit, 0 for 10 and 11.
fn check_digits(body: &str, modulus: u32) -> String {
    let digit = |text: &str| -> char {
        let weights = (2..modulus).cycle();
        let sum: u32 = text
            .bytes()
            .rev()
            .zip(weights)
            .map(|(b, weight)| (u32::from(b) - 48) * weight)
            .sum();
        match sum % 11 {
            0 | 1 => '0',
            rest => char::from_digit(11 - rest, 10).unwrap_or('0'),
        }
    };
    let first = digit(body);
    let second = digit(&format!("{body}{first}"));
    format!("{first}{second}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(value: &str) -> Result<(String, DocumentKind), &'static str> {
        Document::parse(value)
            .map(|d| (d.formatted(), d.kind()))
            .map_err(|refusal| refusal.code)
    }

    #[test]
    fn known_documents_are_read() {
        for (value, formatted, kind) in [
            ("529.982.247-25", "529.982.247-25", DocumentKind::Cpf),
            ("52998224725", "529.982.247-25", DocumentKind::Cpf),
            ("11.444.777/0001-61", "11.444.777/0001-61", DocumentKind::Cnpj),
            ("00000000000191", "00.000.000/0001-91", DocumentKind::Cnpj),
            // The example of the Receita Federal's own description of the new form.
            ("12.abc.345/01de-35", "12.ABC.345/01DE-35", DocumentKind::Cnpj),
        ] {
            assert_eq!(parse(value), Ok((formatted.to_owned(), kind)));
        }
    }

    #[test]
    fn others_are_refused() {
        for value in [
            "52998224726",
            "111.111.111-11",
            "00000000000000",
            "12ABC34501DE36",
            "00000000000",
        ] {
            assert_eq!(parse(value), Err("invalid_check_digits"), "{value}");
        }
        for value in [
            "123",
            "5299822472A",
            "12ABC34501DEA5x",
            "12ÁBC34501DE35",
            "a\0b",
            "1234567890123456",
        ] {
            assert_eq!(parse(value), Err("invalid_format"), "{value:?}");
        }
        assert_eq!(
            parse("12ABC34501DEA5"),
            Err("invalid_check_digits"),
            "check digits are digits"
        );
        assert_eq!(parse(" "), Err("required"));
    }

    /// The text with the character at `at` replaced by the one `by` further in `alphabet`.
    fn changed(text: &str, at: usize, by: usize, alphabet: &[u8]) -> String {
        let change = |letter: u8| {
            let place = alphabet.iter().position(|&a| a == letter).unwrap_or_default();
            alphabet.iter().cycle().nth(place + by).copied().unwrap_or(letter)
        };
        let change_at = |(i, b)| char::from(if i == at { change(b) } else { b });
        text.bytes().enumerate().map(change_at).collect()
    }

    /// Whether changing one digit of a valid document makes it invalid. The register's own weakness: as remainders 0
    /// and 1 are both written 0, the first check digit, the only one that sees every place, may miss a change
    /// when it is 0.
    fn change_is_noticed(document: &str, at: usize, by: usize) -> bool {
        let first_check = document.len() - 2;
        (at < first_check && document.get(first_check..first_check + 1) == Some("0"))
            || Document::parse(&changed(document, at, by, b"0123456789")).is_err()
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in any::<String>(), near in "[0-9A-Z./-]{9,20}") {
            let _ = Document::parse(&text);
            let _ = Document::parse(&near);
        }

        #[test]
        fn one_changed_digit_of_a_cpf_is_noticed(body in "[0-9]{9}", at in 0..11usize, by in 1..10usize) {
            let cpf = format!("{body}{}", check_digits(&body, 12));
            prop_assume!(cpf.bytes().any(|byte| !cpf.starts_with(char::from(byte))));
            let document = Document::parse(&cpf);
            prop_assert_eq!(document.as_ref().map(Document::as_str), Ok(cpf.as_str()));
            prop_assert_eq!(Document::parse(&document.map(|d| d.formatted()).unwrap_or_default()).map(String::from), Ok(cpf.clone()));
            prop_assert!(change_is_noticed(&cpf, at, by));
        }

        #[test]
        fn one_changed_digit_of_a_cnpj_is_noticed(body in "[0-9]{12}", at in 0..14usize, by in 1..10usize) {
            prop_assume!(body != "000000000000");
            let cnpj = format!("{body}{}", check_digits(&body, 10));
            prop_assert_eq!(Document::parse(&cnpj).map(String::from), Ok(cnpj.clone()));
            prop_assert!(change_is_noticed(&cnpj, at, by));
        }

        #[test]
        fn a_cnpj_with_letters_is_read_back(body in "[0-9A-Z]{12}") {
            let cnpj = format!("{body}{}", check_digits(&body, 10));
            let document = Document::parse(&cnpj.to_ascii_lowercase());
            prop_assert!(document.is_ok() || body == "000000000000");
            if let Ok(document) = document {
                prop_assert_eq!(document.as_str(), &cnpj);
                prop_assert_eq!(Document::parse(&document.formatted()), Ok(document));
            }
        }
    }
}
