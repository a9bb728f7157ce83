//! Amounts, as the gateways write them.

use serde_json::Value;

/// Cents as a JSON number of reais, as short as it can be: `10.5`.
pub fn reais(cents: i64) -> Value {
    let text = format!("{}.{:02}", cents / 100, cents % 100);
    serde_json::from_str(&text).unwrap_or_default()
}

/// The cents of a JSON number or text of reais; none for anything else, and for parts of a cent.
pub fn cents(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = format!("{fraction:0<2}");
    if fraction.len() > 2 {
        return None;
    }
    let cents = whole.parse::<i64>().ok()?.checked_mul(100)? + fraction.parse::<i64>().ok()?;
    (cents > 0).then_some(cents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn amounts_are_written_and_read() {
        assert_eq!(reais(1050).to_string(), "10.5");
        assert_eq!(reais(115).to_string(), "1.15");
        assert_eq!(cents(&json!(10.5)), Some(1050));
        assert_eq!(cents(&json!(10)), Some(1000));
        assert_eq!(cents(&json!("1.15")), Some(115));
        for wrong in [json!(0), json!(-1), json!(1.005), json!(null), json!("x")] {
            assert_eq!(cents(&wrong), None, "{wrong}");
        }
    }
}
