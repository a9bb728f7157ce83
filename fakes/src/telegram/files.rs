//! Files: sent along, named by an address or by a former file's id; told of and downloaded.

use actix_web::web::Bytes;
use reqwest::Url;
use serde_json::{Value, json};

use super::bot::Bot;
use super::params::{Params, Upload};
use super::reply::{Answer, Refusal};
use super::webhook::is_here;
use super::world::World;

/// What a bot may download, in bytes.
const MOST_DOWNLOADED: u64 = 20 << 20;
/// What a bot may send along, in bytes.
const MOST_UPLOADED: usize = 50 << 20;
/// The same of a photo.
const MOST_PHOTO: usize = 10 << 20;

/// What a file is to Telegram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Photo,
    Document,
    Video,
    VideoNote,
    Audio,
    Voice,
}

impl Kind {
    /// Of `sendPhoto` and the like, in lower case.
    pub fn of_method(method: &str) -> Option<Self> {
        Some(match method {
            "sendphoto" => Self::Photo,
            "senddocument" => Self::Document,
            "sendvideo" => Self::Video,
            "sendvideonote" => Self::VideoNote,
            "sendaudio" => Self::Audio,
            "sendvoice" => Self::Voice,
            _ => return None,
        })
    }

    /// The field of a message, and of a call.
    pub fn field(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Document => "document",
            Self::Video => "video",
            Self::VideoNote => "video_note",
            Self::Audio => "audio",
            Self::Voice => "voice",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Photo => "Photo",
            Self::Document => "Document",
            Self::Video => "Video",
            Self::VideoNote => "VideoNote",
            Self::Audio => "Audio",
            Self::Voice => "VoiceNote",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Photo => "photos",
            Self::Document => "documents",
            Self::Video => "videos",
            Self::VideoNote => "video_notes",
            Self::Audio => "music",
            Self::Voice => "voice",
        }
    }

    fn mime(self) -> &'static str {
        match self {
            Self::Photo => "image/jpeg",
            Self::Document => "application/octet-stream",
            Self::Video | Self::VideoNote => "video/mp4",
            Self::Audio => "audio/mpeg",
            Self::Voice => "audio/ogg",
        }
    }
}

pub struct Stored {
    kind: Kind,
    bytes: Bytes,
    size: u64,
    path: String,
    /// As a message shows it.
    shown: Value,
    /// Whether `getFile` has told its path.
    told: bool,
}

impl Bot {
    /// Keeps a file, and answers it as a message shows it. `size`: what it claims to have, when that is not what it has.
    pub fn keep_file(&mut self, kind: Kind, upload: &Upload, size: Option<u64>) -> Value {
        let size = size.unwrap_or(upload.bytes.len() as u64);
        if kind == Kind::Photo {
            // As the real one does, in several sizes; here they differ in what they say alone.
            let small = self.keep_one(kind, upload, size, json!({"width": 90, "height": 68}));
            let large = self.keep_one(kind, upload, size, json!({"width": 1280, "height": 960}));
            return json!([small, large]);
        }
        let mime = upload.kind.clone().unwrap_or_else(|| kind.mime().to_owned());
        let mut more = match kind {
            Kind::VideoNote => json!({"length": 240}),
            _ => json!({"mime_type": mime}),
        };
        if let (Some(name), true) = (&upload.name, !matches!(kind, Kind::Voice | Kind::VideoNote)) {
            more["file_name"] = name.as_str().into();
        }
        if kind != Kind::Document {
            more["duration"] = 1.into();
        }
        if kind == Kind::Video {
            more["width"] = 640.into();
            more["height"] = 360.into();
        }
        self.keep_one(kind, upload, size, more)
    }

    fn keep_one(&mut self, kind: Kind, upload: &Upload, size: u64, more: Value) -> Value {
        let number = self.files.len() + 1;
        let id = format!("AgACAgEAAxkB{:x}AA{:08x}{}AzYE", self.id, number, kind.field());
        let mut shown =
            json!({"file_id": id, "file_unique_id": format!("AQAD{number:08x}"), "file_size": size});
        if let (Value::Object(shown), Value::Object(more)) = (&mut shown, more) {
            shown.extend(more);
        }
        let ending = match kind {
            Kind::Photo => Some("jpg"),
            Kind::Voice => Some("oga"),
            _ => upload
                .name
                .as_deref()
                .and_then(|name| Some(name.rsplit_once('.')?.1)),
        };
        let ending = ending.map(|ending| format!(".{ending}")).unwrap_or_default();
        let stored = Stored {
            kind,
            bytes: upload.bytes.clone(),
            size,
            path: format!("{}/file_{number}{ending}", kind.folder()),
            shown: shown.clone(),
            told: false,
        };
        self.files.insert(id, stored);
        shown
    }

    /// The file of a call, as a message shows it.
    pub fn file_of(&mut self, kind: Kind, params: &Params) -> Result<Value, Refusal> {
        let field = kind.field();
        if let Some(upload) = params.upload(field) {
            let most = if kind == Kind::Photo {
                MOST_PHOTO
            } else {
                MOST_UPLOADED
            };
            if upload.bytes.is_empty() {
                return Err(Refusal::bad("file must be non-empty"));
            }
            if upload.bytes.len() > most {
                return Err(Refusal::new(413, "Request Entity Too Large"));
            }
            if kind == Kind::Photo && !is_image(&upload.bytes) {
                return Err(Refusal::bad("IMAGE_PROCESS_FAILED"));
            }
            return Ok(self.keep_file(kind, &upload.clone(), None));
        }
        let id = params.text(field).unwrap_or_default();
        if id.is_empty() {
            return Err(Refusal::bad(format!("there is no {field} in the request")));
        }
        let Some(stored) = self.files.get(&id) else {
            return Err(Refusal::bad("wrong file identifier/HTTP URL specified"));
        };
        if stored.kind != kind {
            let (is, wanted) = (stored.kind.name(), kind.name());
            return Err(Refusal::bad(format!("can't use file of type {is} as {wanted}")));
        }
        Ok(match kind {
            Kind::Photo => json!([stored.shown]),
            _ => stored.shown.clone(),
        })
    }

    pub fn get_file(&mut self, params: &Params) -> Answer {
        let id = params.text("file_id").unwrap_or_default();
        let Some(stored) = self.files.get_mut(&id) else {
            return Err(Refusal::bad("invalid file_id"));
        };
        if stored.size > MOST_DOWNLOADED {
            return Err(Refusal::bad("file is too big"));
        }
        stored.told = true;
        Ok(
            json!({"file_id": id, "file_unique_id": stored.shown["file_unique_id"], "file_size": stored.size,
                  "file_path": stored.path}),
        )
    }

    /// A file whose path was told.
    pub fn download(&self, path: &str) -> Option<Bytes> {
        let mut files = self.files.values();
        let file = files.find(|file| file.told && file.path == path)?;
        Some(file.bytes.clone())
    }
}

fn is_image(bytes: &[u8]) -> bool {
    let begins: [&[u8]; 5] = [b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"BM"];
    begins.iter().any(|begin| bytes.starts_with(begin))
}

/// Fetches the file that a call names by its address; only this machine is asked.
pub async fn fetch(world: &World, method: &str, params: &mut Params) -> Result<(), Refusal> {
    let Some(kind) = Kind::of_method(&method.to_ascii_lowercase()) else {
        return Ok(());
    };
    let named = params.text(kind.field()).unwrap_or_default();
    let Ok(url) = Url::parse(&named) else {
        return Ok(());
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Ok(());
    }
    let failed = || Refusal::bad("failed to get HTTP URL content");
    if !is_here(&url) {
        return Err(failed());
    }
    let name = url.path_segments().and_then(|mut parts| parts.next_back());
    let name = name.filter(|name| !name.is_empty()).map(str::to_owned);
    let answer = world.client.get(url).send().await.map_err(|_| failed())?;
    if !answer.status().is_success() {
        return Err(failed());
    }
    let mime = answer.headers().get("content-type");
    let mime = mime.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let bytes = answer.bytes().await.map_err(|_| failed())?;
    let upload = Upload {
        name,
        kind: mime,
        bytes,
    };
    params.uploads.insert(kind.field().to_owned(), upload);
    Ok(())
}
