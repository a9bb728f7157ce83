//! Webhooks: the address is shown a token first, then each body is signed with the secret of the application.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::Signing;
use super::world::{World, person};

/// What is said back.
const CHALLENGE: &str = "1158201444";

/// Enters an address: it has to say the challenge back. Whether it has.
pub async fn subscribe(world: &World, number: &str, url: &str, verify_token: &str) -> bool {
    let query = [
        ("hub.mode", "subscribe"),
        ("hub.verify_token", verify_token),
        ("hub.challenge", CHALLENGE),
    ];
    let asked = world
        .client
        .get(reached(world, url))
        .header("Host", host(url))
        .query(&query);
    let Ok(answer) = asked.send().await else {
        return false;
    };
    let good = answer.status().is_success() && answer.text().await.is_ok_and(|text| text == CHALLENGE);
    if good {
        world.change(|book| book.number(number).hook = Some(url.to_owned()));
    }
    good
}

/// Somebody does something: the name of the message, and what the webhook has answered.
pub async fn bring(world: &World, number: &str, from: &str, name: &str, message: &Value) -> (String, u16) {
    let wamid = world.change(|book| {
        let wamid = book.wamid();
        book.number(number).open.insert(person(from));
        wamid
    });
    let mut message = message.clone();
    message["id"] = json!(wamid);
    message["from"] = json!(from);
    message["timestamp"] = json!("1767225600");
    let value = json!({"contacts": [{"profile": {"name": name}, "wa_id": from}], "messages": [message]});
    let body = envelope(&[(number, value)]).to_string();
    world.change(|book| book.number(number).brought.insert(wamid.clone(), body.clone()));
    let status = post(world, number, &body, Signing::Good).await;
    (wamid, status)
}

/// Tells what has become of a message.
pub async fn tell(world: &World, number: &str, wamid: &str, status: &str, code: Option<i64>) -> u16 {
    let said = {
        let mut book = world.lock();
        let said = &book.number(number).said;
        said.iter()
            .find(|said| said.wamid.as_deref() == Some(wamid))
            .cloned()
    };
    let mut told = json!({"id": wamid, "status": status, "timestamp": "1767225660"});
    if let Some(said) = said {
        told["recipient_id"] = json!(person(&said.to));
        told["biz_opaque_callback_data"] = said.request["biz_opaque_callback_data"].clone();
    }
    if let Some(code) = code {
        told["errors"] = json!([{"code": code, "title": "refused", "message": "refused"}]);
    }
    let body = envelope(&[(number, json!({"statuses": [told]}))]);
    post(world, number, &body.to_string(), Signing::Good).await
}

/// News of numbers, as Meta wraps them.
pub fn envelope(news: &[(&str, Value)]) -> Value {
    let changes = news.iter().map(|(number, value)| {
        let mut value = value.clone();
        value["messaging_product"] = json!("whatsapp");
        value["metadata"] = json!({"display_phone_number": "551140000000", "phone_number_id": number});
        json!({"field": "messages", "value": value})
    });
    json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": "102290129340398", "changes": changes.collect::<Vec<Value>>()}],
    })
}

/// Brings a body to a number's webhook; the status of the answer, 0 when there was none.
pub async fn post(world: &World, number: &str, body: &str, signing: Signing<'_>) -> u16 {
    let (url, secret) = {
        let mut book = world.lock();
        let number = book.number(number);
        let url = number.hook.clone().expect("a webhook that was entered");
        (url, number.app_secret.clone())
    };
    let sent = match signing {
        Signing::Tampered => body.replacen("whatsapp", "whatsApp", 1),
        _ => body.to_owned(),
    };
    let mut post = world
        .client
        .post(reached(world, &url))
        .header("Host", host(&url))
        .header("Content-Type", "application/json")
        .body(sent);
    let secret = match signing {
        Signing::With(secret) => Some(secret),
        Signing::Unsigned => None,
        Signing::Good | Signing::Tampered => Some(secret.as_str()),
    };
    if let Some(secret) = secret {
        post = post.header("X-Hub-Signature-256", signature(secret, body));
    }
    let answer = post.send().await;
    answer.map_or(0, |answer| answer.status().as_u16())
}

/// `sha256=` and the HMAC-SHA256 of the body, in hexadecimal.
pub fn signature(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("keys of any length");
    mac.update(body.as_bytes());
    let signature = mac.finalize().into_bytes();
    let digits: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={digits}")
}

/// Where an address is reached in truth; whoever is reached by a detour is called by the name that they have.
fn reached(world: &World, url: &str) -> String {
    let through = world.lock().through.clone();
    let parsed = reqwest::Url::parse(url).expect("an address");
    match through {
        Some(base) => format!("{}{}", base.trim_end_matches('/'), parsed.path()),
        None => url.to_owned(),
    }
}

fn host(url: &str) -> String {
    let parsed = reqwest::Url::parse(url).expect("an address");
    let host = parsed.host_str().expect("a host").to_owned();
    parsed
        .port()
        .map_or(host.clone(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 4231, test case 2.
    #[test]
    fn signatures_are_hmac_sha256() {
        assert_eq!(
            signature("Jefe", "what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
