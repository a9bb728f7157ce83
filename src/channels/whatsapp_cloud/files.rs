//! Files that people send to a number: the Graph API says where one is, for some minutes, and gives it to whoever shows the number's token
//! there (developers.facebook.com/docs/whatsapp/cloud-api/reference/media).

use reqwest::Url;
use reqwest::header::USER_AGENT;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::{Api, exchange};
use crate::channels::download::download;
use crate::channels::media::Unfetched;
use crate::channels::outbound::Unsent;
use crate::domain::bot_credentials::CloudAccount;

/// Where Meta keeps files. The token is shown nowhere else, whatever an answer says.
const DOMAINS: [&str; 4] = ["fbsbx.com", "fbcdn.net", "facebook.com", "whatsapp.net"];
/// Meta's files are given to no one who does not say what program it is.
const PROGRAM: &str = concat!("helixai/", env!("CARGO_PKG_VERSION"));
/// The longest id of a file.
const ID_MOST: usize = 200;

impl Api {
    /// Fetches a file by its id: at most so many bytes.
    pub(super) async fn fetch(
        &self,
        account: &CloudAccount,
        id: &str,
        most: u64,
    ) -> Result<Vec<u8>, Unfetched> {
        if !is_id(id) {
            return Err(Unfetched::Never("unreadable"));
        }
        let token = account.access_token.expose_secret();
        let get = |url: Url| {
            let request = self.client.get(url).bearer_auth(token);
            request.header(USER_AGENT, PROGRAM)
        };
        let unreadable = |_| Unfetched::Never("unreadable");
        let base = Url::parse(&format!("{}/{id}", self.base)).map_err(unreadable)?;
        let told = exchange(get(base.clone())).await.map_err(unfetched)?;
        let size = told.get("file_size").and_then(Value::as_u64);
        if size.is_some_and(|size| size > most) {
            return Err(Unfetched::TooLarge);
        }
        let url = told.get("url").and_then(Value::as_str);
        // It agreed in words that cannot be read: another time it may not.
        let url = url.ok_or(Unfetched::Away("provider_error"))?;
        let url = Url::parse(url).map_err(unreadable)?;
        if !is_metas(&url, &base) {
            return Err(Unfetched::Never("foreign_address"));
        }
        download(get(url), most).await
    }
}

/// What can be an id of a file, and nothing that leads elsewhere in an address.
fn is_id(id: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=ID_MOST).contains(&id.len()) && id.bytes().all(is_part)
}

/// Whether an address is where the Graph API itself is, or where Meta keeps files.
fn is_metas(url: &Url, graph: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let within = |domain: &&str| {
        host.strip_suffix(*domain)
            .is_some_and(|name| name.is_empty() || name.ends_with('.'))
    };
    let is_plain = url.username().is_empty() && url.password().is_none();
    let of_meta = url.scheme() == "https" && url.port().is_none() && DOMAINS.iter().any(within);
    is_plain && (of_meta || url.origin() == graph.origin())
}

/// What it means for a file that Meta does not say where it is.
fn unfetched(refusal: Unsent) -> Unfetched {
    match refusal {
        Unsent::Never(_) => Unfetched::Never("gone"),
        Unsent::Wait(_) | Unsent::WaitHere(_) => Unfetched::Away("too_fast"),
        Unsent::Away(why) | Unsent::ShutOut(why) => Unfetched::Away(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_shown_to_meta_alone() {
        let graph = Url::parse("https://graph.facebook.com/v24.0/1").unwrap();
        let shown = |url: &str| is_metas(&Url::parse(url).unwrap(), &graph);
        for good in [
            "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1&ext=2&hash=x",
            "https://scontent.xx.fbcdn.net/v/t61",
            "https://graph.facebook.com/v24.0/1/download",
            "https://mmg.whatsapp.net/x",
        ] {
            assert!(shown(good), "{good}");
        }
        for wrong in [
            "http://lookaside.fbsbx.com/x",
            "https://lookaside.fbsbx.com:8443/x",
            "https://fbsbx.com.example/x",
            "https://evilfbsbx.com/x",
            "https://fbsbx.com@example.com/x",
            "https://x@lookaside.fbsbx.com/x",
            "https://127.0.0.1/x",
            "https://169.254.169.254/latest/meta-data",
            "file:///etc/passwd",
        ] {
            assert!(!shown(wrong), "{wrong}");
        }
        // A Graph API of one's own: its own address, and no other of that machine.
        let own = Url::parse("http://127.0.0.1:8080/v24.0/1").unwrap();
        let shown = |url: &str| is_metas(&Url::parse(url).unwrap(), &own);
        assert!(shown("http://127.0.0.1:8080/files/1"));
        assert!(!shown("http://127.0.0.1:8081/files/1"));
        assert!(!shown("http://localhost:8080/files/1"));
    }

    #[test]
    fn an_id_leads_nowhere_else() {
        assert!(is_id("2754859441498128") && is_id("AgAC_a-1"));
        for wrong in ["", "..", "1/2", "1?fields=x", "1#", "%2e", &"1".repeat(201)] {
            assert!(!is_id(wrong), "{wrong}");
        }
    }
}
