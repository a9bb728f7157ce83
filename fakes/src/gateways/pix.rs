//! The copy-paste text of a PIX: fields of number, length and value, and a checksum at the end (EMV, BR Code).

/// The text for this amount, with the payment's id in it.
pub fn code(cents: i64, id: &str) -> String {
    let id: String = id.chars().filter(char::is_ascii_alphanumeric).take(25).collect();
    let account = format!(
        "{}{}",
        field("00", "br.gov.bcb.pix"),
        field("25", &format!("pix.example/{id}"))
    );
    let fields = [
        field("00", "01"),
        field("26", &account),
        field("52", "0000"),
        field("53", "986"),
        field("54", &format!("{}.{:02}", cents / 100, cents % 100)),
        field("58", "BR"),
        field("59", "LOJA DE TESTE"),
        field("60", "SAO PAULO"),
        field("62", &field("05", &id)),
    ]
    .concat();
    let text = format!("{fields}6304");
    format!("{text}{:04X}", checksum(text.as_bytes()))
}

fn field(number: &str, value: &str) -> String {
    format!("{number}{:02}{value}", value.len())
}

/// CRC-16/CCITT-FALSE.
fn checksum(bytes: &[u8]) -> u16 {
    let mut crc = 0xffffu16;
    for byte in bytes {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            };
        }
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(checksum(b"123456789"), 0x29b1);
        let code = code(1050, "1320459876");
        assert!(code.starts_with("000201") && code.contains("540510.50"), "{code}");
    }
}
