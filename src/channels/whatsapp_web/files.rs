//! Files that people send to a linked telephone: WhatsApp keeps them sealed, and the key comes with the message.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use reqwest::header::ORIGIN;
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};
use whatsapp_rust::download::{DEFAULT_MEDIA_HOSTS, DownloadUtils, Downloadable, MediaType};
use whatsapp_rust::wacore::proto_helpers::MessageExt as _;
use whatsapp_rust::waproto::whatsapp::Message;

use super::http::Http;
use crate::channels::download::download;
use crate::channels::media::Unfetched;
use crate::channels::session::Running;
use crate::domain::platform_key::PlatformKey;

/// What a sealed file is longer than the file: its padding and its signature.
const SEAL: u64 = 16 + 10;
/// On whose behalf WhatsApp's hosts give files.
const PAGE: &str = "https://web.whatsapp.com";
const UNREADABLE: Unfetched = Unfetched::Never("unreadable");

/// The files of one bot.
#[derive(Clone)]
pub(super) struct Files {
    key: PlatformKey,
    /// What the keys of files are sealed for.
    context: String,
    http: Http,
}

/// Where a file is, and what opens it.
#[derive(Serialize, Deserialize)]
struct Reference {
    /// As WhatsApp sorts files; a sticker is an image.
    kind: String,
    path: String,
    hash: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    pub(super) fn of(running: &Running) -> Self {
        Self {
            key: running.channels.key.clone(),
            context: format!("whatsapp_file:{}:{}", running.tenant, running.instance),
            http: running.channels.whatsapp.http.clone(),
        }
    }

    /// What fetches the file that came along with a message, as it is stored; `None` when nothing came along, or something that is to be
    /// seen once.
    pub(super) fn seal(&self, message: &Message) -> Option<Vec<u8>> {
        let file = file_of(message.get_base_message()).filter(|_| !message.is_view_once())?;
        let reference = Reference {
            kind: file.app_info().mms_type().to_owned(),
            path: file.direct_path()?.to_owned(),
            hash: file.file_enc_sha256()?.to_vec(),
            key: file.media_key()?.to_vec(),
        };
        let plain = Zeroizing::new(serde_json::to_vec(&reference).ok()?);
        Some(self.key.seal(&self.context, &plain))
    }

    /// Fetches a file and opens it: at most so many bytes.
    pub(super) async fn fetch(&self, sealed: &[u8], most: u64) -> Result<Vec<u8>, Unfetched> {
        let plain = self.key.open(&self.context, sealed).ok_or(UNREADABLE)?;
        let reference: Reference = serde_json::from_slice(&plain).map_err(|_| UNREADABLE)?;
        let kind = reference.media_type().ok_or(UNREADABLE)?;
        let mut fetched = Err(UNREADABLE);
        for host in DEFAULT_MEDIA_HOSTS {
            let request = self.http.get(&reference.url(host)).map_err(|_| UNREADABLE)?;
            fetched = download(request.header(ORIGIN, PAGE), most + SEAL).await;
            if !matches!(fetched, Err(Unfetched::Away(_))) {
                break;
            }
        }
        let mut bytes = match fetched {
            // The path is signed, and good for some weeks: no other will be told.
            Err(Unfetched::Away("token_refused")) => return Err(Unfetched::Never("gone")),
            fetched => fetched?,
        };
        let opened = tokio::task::spawn_blocking(move || {
            DownloadUtils::verify_and_decrypt_in_place(&mut bytes, &reference.key, kind).map(|()| bytes)
        });
        match opened.await {
            Ok(Ok(bytes)) if bytes.len() as u64 > most => Err(Unfetched::TooLarge),
            Ok(opened) => opened.map_err(|_| UNREADABLE),
            Err(_) => Err(Unfetched::Away("interrupted")),
        }
    }
}

impl Reference {
    fn media_type(&self) -> Option<MediaType> {
        let kinds = [
            MediaType::Image,
            MediaType::Video,
            MediaType::Audio,
            MediaType::Document,
        ];
        kinds.into_iter().find(|kind| kind.mms_type() == self.kind)
    }

    fn url(&self, host: &str) -> String {
        let (path, kind, hash) = (&self.path, &self.kind, URL_SAFE.encode(&self.hash));
        let between = if path.contains('?') { '&' } else { '?' };
        format!("https://{host}{path}{between}hash={hash}&mms-type={kind}")
    }
}

fn file_of(message: &Message) -> Option<&dyn Downloadable> {
    if let Some(image) = message.image_message.as_option() {
        return Some(image);
    }
    if let Some(video) = message
        .video_message
        .as_option()
        .or(message.ptv_message.as_option())
    {
        return Some(video);
    }
    if let Some(audio) = message.audio_message.as_option() {
        return Some(audio);
    }
    if let Some(document) = message.document_message.as_option() {
        return Some(document);
    }
    message.sticker_message.as_option().map(|sticker| sticker as _)
}

#[cfg(test)]
mod tests {
    use whatsapp_rust::buffa::MessageField;
    use whatsapp_rust::waproto::whatsapp::message::ImageMessage;

    use super::*;

    fn picture(view_once: bool) -> Message {
        Message {
            image_message: MessageField::some(ImageMessage {
                direct_path: Some("/v/t62/1?oe=1".to_owned()),
                media_key: Some(vec![7; 32]),
                file_enc_sha256: Some(vec![0xff; 3]),
                view_once: Some(view_once),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn files(context: &str) -> Files {
        Files {
            key: PlatformKey::new(&[1; 32]),
            context: context.to_owned(),
            http: Http::new("").unwrap(),
        }
    }

    #[tokio::test]
    async fn a_key_is_sealed_for_its_bot() {
        let sealed = files("one").seal(&picture(false)).unwrap();
        assert!(
            !sealed
                .windows(4)
                .any(|window| window == [7; 4] || window == b"/v/t")
        );
        assert_eq!(files("other").fetch(&sealed, 9).await, Err(UNREADABLE));
        assert_eq!(files("one").seal(&picture(true)), None);
        assert_eq!(files("one").seal(&Message::default()), None);
    }

    #[test]
    fn a_file_is_asked_for_where_it_is() {
        let sealed = files("one").seal(&picture(false)).unwrap();
        let plain = files("one").key.open("one", &sealed).unwrap();
        let reference: Reference = serde_json::from_slice(&plain).unwrap();
        let url = "https://mmg.whatsapp.net/v/t62/1?oe=1&hash=____&mms-type=image";
        assert_eq!(reference.url("mmg.whatsapp.net"), url);
    }
}
