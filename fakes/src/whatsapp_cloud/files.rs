//! Files that people send: the Graph API says where one is, and it is given there to whoever shows the number's token.

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::server::{Refused, answered, status_of};
use super::world::Book;

/// What somebody sends.
#[derive(Debug, Clone, Default)]
pub struct File {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// What it is said to be.
    pub mime: String,
    /// The size that it is said to have, when it is not that of the bytes.
    pub size: Option<u64>,
    /// Where it is said to be, when it is elsewhere.
    pub url: Option<String>,
    /// What happens to those who fetch it.
    pub trouble: Option<Trouble>,
}

/// What happens to whoever fetches a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It is refused with this status, as often as this.
    Status(u16, usize),
    /// It is sent elsewhere.
    Redirect(String),
    /// Half of it comes, and no more.
    Stall,
    /// Half of it comes, and the connection is closed.
    Cut,
}

pub struct Kept {
    number: String,
    file: File,
    /// How often it was given.
    pub given: usize,
}

/// Keeps a file that somebody sends to a number; its id.
pub fn keep(book: &mut Book, number: &str, file: File) -> String {
    let id = format!("{}", 2_754_859_441_498_000_u64 + book.files.len() as u64);
    let kept = Kept {
        number: number.to_owned(),
        file,
        given: 0,
    };
    book.files.insert(id.clone(), kept);
    id
}

/// Where a file is, for whoever may speak for its number.
pub fn tell(book: &Book, base: &str, id: &str, token: &str) -> Result<Value, Refused> {
    let kept = find(book, id, token)?;
    let digest = Sha256::digest(&kept.file.bytes);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let url = kept.file.url.clone();
    Ok(json!({
        "messaging_product": "whatsapp", "id": id, "mime_type": kept.file.mime, "sha256": digest,
        "file_size": kept.file.size.unwrap_or(kept.file.bytes.len() as u64),
        "url": url.unwrap_or_else(|| format!("{base}/files/{id}")),
    }))
}

fn find<'a>(book: &'a Book, id: &str, token: &str) -> Result<&'a Kept, Refused> {
    let mut numbers = book.numbers.values();
    let known = numbers.any(|number| number.token == token && !number.revoked);
    if !known {
        return Err((401, 190));
    }
    let kept = book.files.get(id).filter(|kept| {
        let number = book.numbers.get(&kept.number);
        number.is_some_and(|number| number.token == token)
    });
    kept.ok_or((400, 100))
}

/// The file itself.
pub fn give(book: &mut Book, id: &str, token: &str) -> HttpResponse {
    if let Err(refused) = find(book, id, token) {
        return answered(Err(refused));
    }
    let Some(kept) = book.files.get_mut(id) else {
        return answered(Err((400, 100)));
    };
    let bytes = web::Bytes::from(kept.file.bytes.clone());
    let half = bytes.slice(..bytes.len() / 2);
    match &mut kept.file.trouble {
        Some(Trouble::Status(status, times)) if *times > 0 => {
            *times -= 1;
            HttpResponse::build(status_of(*status)).body("Sorry")
        }
        Some(Trouble::Redirect(to)) => HttpResponse::Found()
            .insert_header((LOCATION, to.clone()))
            .body("There"),
        Some(Trouble::Stall) => HttpResponse::Ok()
            .streaming(stream::iter([Ok::<_, std::io::Error>(half)]).chain(stream::pending())),
        Some(Trouble::Cut) => {
            let broken = Err(std::io::Error::other("closed on purpose"));
            HttpResponse::Ok().streaming(stream::iter([Ok(half), broken]))
        }
        Some(Trouble::Status(..)) | None if kept.file.size.is_some() => {
            // Who lies of the size does not say it here either.
            kept.given += 1;
            HttpResponse::Ok().streaming(stream::iter([Ok::<_, std::io::Error>(bytes)]))
        }
        Some(Trouble::Status(..)) | None => {
            kept.given += 1;
            HttpResponse::Ok()
                .content_type(kept.file.mime.clone())
                .body(bytes)
        }
    }
}
