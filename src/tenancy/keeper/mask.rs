//! Masking: the rows of a snapshot without the people in them, on their way into a copy.
//!
//! What each column holds is said by the template (`columns.toml`). The same value becomes the same mask everywhere in a tenant, so
//! that a contact and its lead still belong together and unique values stay unique; without the platform's key nobody can
//! try out which value a mask was made from. What is written by people loses its letters and digits.

use super::KeeperError;
use super::fill::misfit;
use crate::db::shard::template::{Personal, Template};
use crate::domain::hex::hex;
use crate::domain::ids::TenantId;
use crate::domain::platform_key::PlatformKey;
use crate::domain::random;
use crate::domain::tenant::Niche;
use crate::tenancy::snapshot::{Header, HeaderTable};

/// How `COPY` writes what is not there.
const NULL: &[u8] = b"\\N";

/// Masks the rows of one tenant.
#[derive(Clone)]
pub(super) struct Mask {
    key: PlatformKey,
    purpose: String,
    niche: Niche,
    /// What everybody's password becomes.
    password_hash: String,
}

impl Mask {
    pub(super) fn new(key: PlatformKey, tenant: TenantId, niche: Niche, password_hash: String) -> Self {
        Self {
            key,
            purpose: format!("mask:{tenant}"),
            niche,
            password_hash,
        }
    }

    /// The mask of an address.
    pub(super) fn email(&self, address: &str) -> String {
        self.value(Personal::Email, address)
    }

    /// Masks the rows of a table.
    pub(super) fn table(&self, table: &HeaderTable) -> Result<TableMask, KeeperError> {
        let words = Template::embedded()?.personal(&self.niche, &table.name);
        let words = words
            .ok_or_else(|| misfit(&table.name, "has columns of which nobody has said whose they are"))?;
        let word = |column: &String| words.get(column).copied().unwrap_or(Personal::Plain);
        let of = |name: &str| table.columns.iter().position(|column| column == name);
        Ok(TableMask {
            mask: self.clone(),
            words: table.columns.iter().map(word).collect(),
            begun: Vec::new(),
            owner: (table.name == "users")
                .then(|| Some((of("email")?, of("role")?, of("status")?)))
                .flatten(),
            owner_email: None,
        })
    }

    fn value(&self, word: Personal, value: &str) -> String {
        let digest = || {
            let purpose = format!("{}:{word:?}", self.purpose);
            let bytes = self.key.fingerprint(&purpose, value.as_bytes());
            u128::from_be_bytes(bytes.first_chunk::<16>().copied().unwrap_or_default())
        };
        match word {
            Personal::Plain | Personal::Secret => value.to_owned(),
            Personal::Name => format!("Pessoa {:08X}", digest() >> 96),
            Personal::Email => format!("p-{:032x}@masked.invalid", digest()),
            // No country's code; 14 digits, as unlikely to meet as can be.
            Personal::Phone => format!("+9{:014}", digest() % 100_000_000_000_000),
            Personal::Handle => format!("masked-{:032x}", digest()),
            Personal::Text => value.chars().map(blank).collect(),
            Personal::Json => "{}".to_owned(),
            Personal::Password => self.password_hash.clone(),
        }
    }
}

/// The rows of a whole snapshot, masked on their way where there is a mask.
pub(super) struct Masked<'a> {
    header: &'a Header,
    mask: Option<Mask>,
    table: Option<TableMask>,
    owner_email: Option<String>,
}

impl<'a> Masked<'a> {
    pub(super) fn new(header: &'a Header, mask: Option<Mask>) -> Self {
        Self {
            header,
            mask,
            table: None,
            owner_email: None,
        }
    }

    /// Whether there is a mask.
    pub(super) fn is_masking(&self) -> bool {
        self.mask.is_some()
    }

    /// The rows of the table of this number follow; of one that stays behind nothing is asked.
    pub(super) fn begin(&mut self, number: usize, wanted: bool) -> Result<(), KeeperError> {
        if let Some(before) = self.table.take() {
            self.owner_email = self.owner_email.take().or(before.owner_email);
        }
        self.table = match (&self.mask, self.header.tables.get(number)) {
            (Some(mask), Some(table)) if wanted => Some(mask.table(table)?),
            _ => None,
        };
        Ok(())
    }

    /// The masked address of the first owner who can log in, once there are no more tables.
    pub(super) fn owner_email(self) -> Option<String> {
        let last = self.table.and_then(|table| table.owner_email);
        self.owner_email.or(last)
    }

    /// What goes on of these rows. What comes last ends a row, so nothing is left behind.
    pub(super) fn rows(&mut self, rows: Vec<u8>) -> Result<Vec<u8>, KeeperError> {
        match &mut self.table {
            Some(table) => table.rows(&rows),
            None => Ok(rows),
        }
    }
}

fn blank(letter: char) -> char {
    match letter {
        letter if letter.is_numeric() => '0',
        letter if letter.is_alphabetic() => 'x',
        letter if letter.is_ascii() => letter,
        letter if letter.is_whitespace() => ' ',
        _ => 'x',
    }
}

/// Masks rows as `COPY` writes them, in pieces of any length.
pub(super) struct TableMask {
    mask: Mask,
    words: Vec<Personal>,
    /// The beginning of a row whose end has not come yet.
    begun: Vec<u8>,
    /// Of users: the places of address, role and status.
    owner: Option<(usize, usize, usize)>,
    /// The masked address of the first owner who can log in.
    pub(super) owner_email: Option<String>,
}

impl TableMask {
    /// The rows that are whole by now.
    pub(super) fn rows(&mut self, piece: &[u8]) -> Result<Vec<u8>, KeeperError> {
        let whole = memchr::memrchr(b'\n', piece).map_or(0, |end| end + 1);
        let (ended, begun) = piece.split_at(whole);
        if ended.is_empty() {
            self.begun.extend_from_slice(begun);
            return Ok(Vec::new());
        }
        let mut rows = std::mem::replace(&mut self.begun, begun.to_vec());
        rows.extend_from_slice(ended);
        let mut masked = Vec::with_capacity(rows.len());
        let rows = rows.strip_suffix(b"\n").unwrap_or(&rows);
        for row in rows.split(|byte| *byte == b'\n') {
            self.row(row, &mut masked)?;
        }
        Ok(masked)
    }

    fn row(&mut self, row: &[u8], masked: &mut Vec<u8>) -> Result<(), KeeperError> {
        let fields: Vec<&[u8]> = row.split(|byte| *byte == b'\t').collect();
        if fields.len() != self.words.len() {
            return Err(KeeperError::Misfit(
                "a row has another number of columns".to_owned(),
            ));
        }
        for (number, (field, word)) in fields.iter().zip(&self.words).enumerate() {
            if number > 0 {
                masked.push(b'\t');
            }
            match word {
                _ if *field == NULL => masked.extend_from_slice(NULL),
                Personal::Plain => masked.extend_from_slice(field),
                Personal::Secret => masked.extend_from_slice(NULL),
                word => escape(&self.mask.value(*word, &unescape(field)), masked),
            }
        }
        masked.push(b'\n');
        if let Some((email, role, status)) = self.owner
            && self.owner_email.is_none()
            && fields.get(role) == Some(&b"owner".as_slice())
            && fields.get(status) == Some(&b"active".as_slice())
        {
            self.owner_email = fields.get(email).map(|field| self.mask.email(&unescape(field)));
        }
        Ok(())
    }
}

/// What a field of `COPY` stands for.
fn unescape(field: &[u8]) -> String {
    let mut plain = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'v') => 11,
                Some(other) => *other,
                None => b'\\',
            },
            other => *other,
        });
    }
    String::from_utf8_lossy(&plain).into_owned()
}

fn escape(value: &str, out: &mut Vec<u8>) {
    for byte in value.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => out.push(other),
        }
    }
}

/// A name that tells one temporary file from another.
pub(super) fn file_name() -> String {
    format!("helixai-clone-{}", hex(&random::bytes::<8>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask() -> Mask {
        let key = PlatformKey::new(&std::array::from_fn(|at| at as u8));
        let niche = Niche::parse("cars").unwrap();
        Mask::new(key, TenantId::new(), niche, "$argon2id$new".to_owned())
    }

    fn table(name: &str, columns: &[&str]) -> HeaderTable {
        HeaderTable {
            name: name.to_owned(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        }
    }

    #[test]
    fn the_same_becomes_the_same_and_shows_nothing_of_it() {
        let (one, other) = (mask(), mask());
        for (word, value) in [
            (Personal::Name, "João da Silva"),
            (Personal::Email, "joao@garage.example"),
            (Personal::Phone, "+5511987654321"),
            (Personal::Handle, "5511987654321@s.whatsapp.net"),
        ] {
            let masked = one.value(word, value);
            assert_eq!(masked, one.value(word, value));
            assert_ne!(masked, one.value(word, &format!("{value}1")));
            assert_ne!(masked, other.value(word, value), "another tenant's are others");
            assert!(!masked.contains("oao") && !masked.contains("11987"), "{masked}");
        }
        let phone = one.value(Personal::Phone, "+5511987654321");
        assert!(phone.len() == 16 && phone.starts_with("+9"), "{phone}");
        assert_eq!(
            one.value(Personal::Text, "Olá, ligue 11-98 🚗\n日本"),
            "xxx, xxxxx 00-00 x\nxx"
        );
    }

    #[test]
    fn rows_are_masked_in_any_pieces() {
        let mask = mask();
        let header = table("contacts", &["id", "name", "phone", "notes", "version"]);
        let rows = "1\tAna\\tB\t+5511987654321\t\\N\t1\n2\t\\N\t\\N\tLinha\\nA\\\\B\t7\n";
        let whole = mask.table(&header).unwrap().rows(rows.as_bytes()).unwrap();
        let text = String::from_utf8(whole.clone()).unwrap();
        assert!(
            text.starts_with("1\tPessoa ") && text.ends_with("2\t\\N\t\\N\txxxxx\\nx\\\\x\t7\n"),
            "{text}"
        );
        assert!(text.contains("\t\\N\t1\n"), "{text}");
        for length in 1..rows.len() {
            let mut pieces = mask.table(&header).unwrap();
            let mut masked = Vec::new();
            for piece in rows.as_bytes().chunks(length) {
                masked.extend(pieces.rows(piece).unwrap());
            }
            assert_eq!(masked, whole, "{length}");
        }
    }

    #[test]
    fn an_owner_who_can_log_in_is_found() {
        let mask = mask();
        let header = table(
            "users",
            &["id", "email", "name", "password_hash", "role", "status"],
        );
        let mut users = mask.table(&header).unwrap();
        let rows = "1\ta@x.example\tA\t$argon2id$a\tagent\tactive\n2\tb@x.example\tB\t\\N\towner\tinvited\n\
                    3\tc@x.example\tC\t$argon2id$c\towner\tactive\n";
        let masked = String::from_utf8(users.rows(rows.as_bytes()).unwrap()).unwrap();
        assert_eq!(users.owner_email, Some(mask.email("c@x.example")));
        assert_eq!(masked.matches("$argon2id$new").count(), 2);
        assert!(
            !masked.contains("$argon2id$a") && masked.contains("\t\\N\towner\tinvited\n"),
            "{masked}"
        );
    }

    #[test]
    fn a_table_of_which_nothing_is_said_is_refused() {
        assert!(mask().table(&table("strangers", &["id"])).is_err());
    }
}
