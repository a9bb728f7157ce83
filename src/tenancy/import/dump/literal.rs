//! What stands between the commas of a row: a value, or what is none.

use sqlparser::ast::{DataType, Expr, UnaryOperator, Value};

use crate::tenancy::import::source::Cell;

/// The bytes behind a text that was read one character for each byte.
pub(super) fn bytes(text: &str) -> Vec<u8> {
    text.chars()
        .map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?'))
        .collect()
}

/// One text for each byte: so that the parser, which knows nothing but UTF-8, passes any bytes on.
pub(super) fn one_character_per_byte(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The value of a cell. What would have to be computed is none: it is refused, never computed.
pub(super) fn cell(expression: &Expr) -> Cell {
    match expression {
        Expr::Value(value) => literal(&value.value),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => match cell(expr) {
            Cell::Number(number) => Cell::Number(format!("-{number}")),
            _ => Cell::Expression,
        },
        // `_binary '…'`, `_utf8mb4 '…'`
        Expr::Prefixed { value, .. } => cell(value),
        _ => Cell::Expression,
    }
}

fn literal(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Number(number, _) => Cell::Number(number.clone()),
        Value::SingleQuotedString(text)
        | Value::DoubleQuotedString(text)
        | Value::NationalStringLiteral(text) => Cell::Bytes(bytes(text)),
        Value::HexStringLiteral(digits) => hex(digits).map_or(Cell::Expression, Cell::Bytes),
        Value::SingleQuotedByteStringLiteral(bits) => {
            u64::from_str_radix(bits, 2).map_or(Cell::Expression, |number| Cell::Number(number.to_string()))
        }
        Value::Boolean(yes) => Cell::Number(u8::from(*yes).to_string()),
        _ => Cell::Expression,
    }
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    // An odd number of digits has a zero before it.
    let (first, pairs) = digits.split_at_checked(digits.len() % 2)?;
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    let mut bytes = Vec::with_capacity(digits.len().div_ceil(2));
    for byte in first {
        bytes.push(digit(*byte)?);
    }
    for pair in pairs.chunks_exact(2) {
        let [high, low] = pair else { return None };
        bytes.push(digit(*high)? * 16 + digit(*low)?);
    }
    Some(bytes)
}

/// Whether a column holds moments, which a dump writes in the time zone that it names, and not what a clock showed.
pub(super) fn is_moment(kind: &DataType) -> bool {
    matches!(kind, DataType::Timestamp(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_are_bytes() {
        assert_eq!(hex("4a6F"), Some(b"Jo".to_vec()));
        assert_eq!(hex("F00"), Some(vec![0x0f, 0x00]));
        assert_eq!(hex(""), Some(Vec::new()));
        assert_eq!(hex("4x"), None);
        assert_eq!(hex("é"), None);
    }

    #[test]
    fn bytes_come_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(bytes(&one_character_per_byte(&all)), all);
    }
}
