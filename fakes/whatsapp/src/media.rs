//! Files: a person's phone seals one and leaves it at the server, which gives it to whoever names its path and hash. The key goes along
//! with the message.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wacore::download::MediaType;
use wacore::upload::encrypt_media;
use waproto::buffa::MessageField;
use waproto::whatsapp::Message;
use waproto::whatsapp::message::{AudioMessage, DocumentMessage, ImageMessage, StickerMessage, VideoMessage};

use crate::world::World;

/// What a person sends.
#[derive(Debug, Clone)]
pub struct File {
    /// What it is.
    pub kind: FileKind,
    /// The file.
    pub bytes: Vec<u8>,
    /// The length that is claimed; the true one when there is none.
    pub length: Option<u64>,
    /// Words under a picture, a film or a document.
    pub caption: Option<String>,
    /// What a document is called.
    pub name: Option<String>,
    /// It is to be seen once.
    pub view_once: bool,
    /// What is wrong with it at the server.
    pub fault: Option<FileFault>,
}

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFault {
    /// It is not there any more.
    Gone,
    /// It is another than the sender's.
    Spoiled,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A picture.
    Image,
    /// A film.
    Video,
    /// A film of whoever speaks, shown as a circle.
    VideoNote,
    /// A sound.
    Audio,
    /// Any other.
    Document,
    /// A sticker.
    Sticker,
}

impl File {
    /// A file of this kind, with nothing else.
    pub fn new(kind: FileKind, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            bytes: bytes.into(),
            length: None,
            caption: None,
            name: None,
            view_once: false,
            fault: None,
        }
    }
}

/// Leaves a file at the server, and writes the message that goes with it.
pub(crate) fn leave(world: &World, file: &File) -> Result<Message> {
    let media = match file.kind {
        FileKind::Image => MediaType::Image,
        FileKind::Video | FileKind::VideoNote => MediaType::Video,
        FileKind::Audio => MediaType::Audio,
        FileKind::Document => MediaType::Document,
        FileKind::Sticker => MediaType::Sticker,
    };
    let sealed = encrypt_media(&file.bytes, media)?;
    let path = world.change(|state| {
        let path = format!("/v/t62.7118-24/{}", state.number());
        let (hash, mut body) = (sealed.file_enc_sha256.to_vec(), sealed.data_to_upload);
        if file.fault == Some(FileFault::Spoiled) {
            body.iter_mut().for_each(|byte| *byte ^= 1);
        }
        if file.fault != Some(FileFault::Gone) {
            state.files.insert(path.clone(), (hash, body));
        }
        format!("{path}?ccb=11-4&oh=01_Q5&oe=68")
    });
    let mut message = Message::default();
    macro_rules! attach {
        ($field:ident, $kind:ident, $($more:ident: $value:expr),*) => {
            message.$field = MessageField::some($kind {
                url: Some(format!("https://mmg.whatsapp.net{path}")),
                direct_path: Some(path),
                media_key: Some(sealed.media_key.to_vec()),
                file_sha256: Some(sealed.file_sha256.to_vec()),
                file_enc_sha256: Some(sealed.file_enc_sha256.to_vec()),
                file_length: Some(file.length.unwrap_or(file.bytes.len() as u64)),
                $($more: $value,)*
                ..Default::default()
            })
        };
    }
    let (caption, view_once) = (file.caption.clone(), Some(file.view_once));
    match file.kind {
        FileKind::Image => attach!(image_message, ImageMessage, caption: caption, view_once: view_once),
        FileKind::Video => attach!(video_message, VideoMessage, caption: caption, view_once: view_once),
        FileKind::VideoNote => attach!(ptv_message, VideoMessage, seconds: Some(3)),
        FileKind::Audio => attach!(audio_message, AudioMessage, seconds: Some(3)),
        FileKind::Document => {
            attach!(document_message, DocumentMessage, caption: caption, file_name: file.name.clone())
        }
        FileKind::Sticker => attach!(sticker_message, StickerMessage,),
    }
    Ok(message)
}

/// Whether somebody asks for a file at this connection, instead of opening a socket.
pub(crate) async fn is_asked(stream: &TcpStream) -> bool {
    let mut begin = [0; 7];
    while stream
        .peek(&mut begin)
        .await
        .is_ok_and(|read| (1..begin.len()).contains(&read))
    {
        tokio::task::yield_now().await;
    }
    begin != *b"GET /ws"
}

/// Gives whoever asks a file, and hangs up.
pub(crate) async fn serve(world: Arc<World>, mut stream: TcpStream) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
        ensure!(head.len() < 8192, "an endless request");
    }
    let head = String::from_utf8(head)?;
    let target = head.split(' ').nth(1).context("a request")?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let asked = query.split('&').find_map(|pair| pair.strip_prefix("hash="));
    let found = world.change(|state| {
        state.fetched += 1;
        state.files.get(path).cloned()
    });
    let is_named = |hash: &[u8]| {
        asked.is_some_and(|asked| asked == URL_SAFE.encode(hash) || asked == URL_SAFE_NO_PAD.encode(hash))
    };
    let (status, body) = match found {
        Some((hash, body)) if is_named(&hash) => ("200 OK", body),
        Some(_) => ("403 Forbidden", Vec::new()),
        None => ("410 Gone", Vec::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await?;
    Ok(())
}
