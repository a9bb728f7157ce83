//! Linking a device: the six codes that it shows one after another, or the code that is typed into the phone.
//!
//! The client shows a reference that it got from the server, with its public keys and a secret. The phone signs the client's
//! key, seals that with the secret, and sends it through the server; the client signs too, and must then come again
//! (stream error 515), now as a device of the account.

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rand::rngs::StdRng;
use tokio::sync::oneshot;
use wacore::crypto::hkdf_sha256_into;
use wacore::libsignal::crypto::aes_256_gcm_decrypt;
use wacore::libsignal::protocol::{KeyPair, PublicKey};
use wacore::pair::PairUtils;
use wacore::pair_code::PairCodeUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use waproto::whatsapp::ClientPayload;

use crate::account::{Address, Linked};
use crate::bundle::Bundle;
use crate::line::{Line, Order};
use crate::noise::public;
use crate::refusal::Refusal;
use crate::stanza::{attr, child, from_server, now, result, stream_error};
use crate::world::{State, World};

/// How many references a client gets: the first is shown for 60 seconds, the others for 20.
const REFERENCES: usize = 6;

/// A client that belongs to no account yet.
pub(crate) struct Stranger {
    pub(crate) line: Line,
    key: [u8; 32],
    bundle: Bundle,
    references: Vec<String>,
    typed: Option<Typed>,
    pending: Option<Pending>,
}

/// A client that shows a code to be typed into the phone.
struct Typed {
    phone: String,
    reference: String,
    /// The client's key for this once, sealed with the code.
    sealed: Vec<u8>,
    /// The phone's own, once the code was typed.
    entered: Option<(KeyPair, [u8; 32], oneshot::Sender<Result<Jid>>)>,
}

/// A phone has signed, and the client has yet to sign too.
struct Pending {
    query: String,
    address: Address,
    done: oneshot::Sender<Result<Jid>>,
}

/// Welcomes a client that is not linked, or says why not.
pub(crate) fn admit(world: &World, key: [u8; 32], payload: ClientPayload, line: Line) -> Result<(), Refusal> {
    let data = payload.device_pairing_data.into_option();
    let Some(Ok(bundle)) = data.map(Bundle::of_registration) else {
        return Err(Refusal::Code(400));
    };
    world.change(|state| {
        if let Some(refusal) = state.refusal(None) {
            return Err(refusal);
        }
        let references: Vec<_> = (0..REFERENCES).map(|_| reference()).collect();
        let nodes = references
            .iter()
            .map(|text| NodeBuilder::new("ref").bytes(text.as_bytes()).build());
        let codes = NodeBuilder::new("pair-device").children(nodes).build();
        line.send(query(state, codes).1);
        let stranger = Stranger {
            key,
            bundle,
            references,
            typed: None,
            pending: None,
            line: line.clone(),
        };
        state.strangers.insert(line.connection, stranger);
        Ok(())
    })
}

fn reference() -> String {
    format!("2@{}", BASE64_STANDARD.encode(rand::random::<[u8; 32]>()))
}

/// A query of the server's own: its id, and the stanza.
fn query(state: &mut State, inside: Node) -> (String, Node) {
    let id = state.number().to_string();
    let query = from_server("iq")
        .attr("type", "set")
        .attr("xmlns", "md")
        .attr("id", id.as_str())
        .attr("t", now())
        .children([inside]);
    (id, query.build())
}

/// A phone scans the code that a client shows. Ends when the client is linked.
pub(crate) async fn scan(world: &World, qr: &str, phone: &str) -> Result<Jid> {
    let (reference, key, identity) = PairUtils::parse_qr_code(qr)?;
    let secret = qr.split(',').nth(3).context("no secret in the code")?;
    let secret: [u8; 32] = BASE64_STANDARD.decode(secret)?.as_slice().try_into()?;
    let (done, linked) = oneshot::channel();
    world.change(|state| {
        let mut strangers = state.strangers.values();
        let stranger = strangers
            .find(|stranger| stranger.references.contains(&reference))
            .context("nobody shows this code")?;
        ensure!(
            (stranger.key, stranger.bundle.identity) == (key, identity),
            "the code names other keys than its client has"
        );
        sign(state, stranger.line.connection, phone, &secret, done)
    })?;
    linked.await.context("the client has gone")?
}

/// The phone's signature goes to the client.
fn sign(
    state: &mut State,
    connection: u64,
    phone: &str,
    secret: &[u8; 32],
    done: oneshot::Sender<Result<Jid>>,
) -> Result<()> {
    let stranger = state.strangers.get(&connection).context("the client has gone")?;
    let identity = stranger.bundle.identity;
    let account = state.account(phone)?;
    let address = account.next_device();
    let sealed = account.vouch_with(address.device, &identity, secret)?;
    let success = NodeBuilder::new("pair-success").children([
        NodeBuilder::new("device-identity").bytes(sealed).build(),
        NodeBuilder::new("biz")
            .attr("name", format!("Loja {phone}"))
            .build(),
        NodeBuilder::new("platform").attr("name", "android").build(),
        NodeBuilder::new("device")
            .attr("jid", address.jid())
            .attr("lid", address.lid())
            .build(),
    ]);
    let (query, node) = query(state, success.build());
    let stranger = state
        .strangers
        .get_mut(&connection)
        .context("the client has gone")?;
    stranger.line.send(node);
    stranger.pending = Some(Pending { query, address, done });
    Ok(())
}

/// Hears a query, or an answer, of a client that is not linked.
pub(crate) fn hear(world: &World, connection: u64, node: &Node) -> Result<()> {
    world.change(|state| match attr(node, "type").as_deref() {
        Some("result" | "error") => {
            let Some(stranger) = state.strangers.get_mut(&connection) else {
                return Ok(());
            };
            let id = attr(node, "id");
            let Some(pending) = stranger
                .pending
                .take_if(|pending| Some(&pending.query) == id.as_ref())
            else {
                return Ok(());
            };
            let outcome = link(state, connection, &pending.address, node);
            // The phone may have stopped waiting.
            let _gone = pending.done.send(outcome);
            Ok(())
        }
        _ => match node.get_optional_child("link_code_companion_reg") {
            Some(inside) => typed(state, connection, node, inside),
            None => {
                if let Some(stranger) = state.strangers.get(&connection) {
                    stranger.line.send(result(node).build());
                }
                Ok(())
            }
        },
    })
}

/// The client has signed: it is a device of the account from now on, and must come again.
fn link(state: &mut State, connection: u64, address: &Address, answer: &Node) -> Result<Jid> {
    let Some(signed) = answer.get_optional_child("pair-device-sign") else {
        bail!("the client refuses: {answer:?}");
    };
    let proof = child(signed, "device-identity")?.to_vec();
    let stranger = state.strangers.get(&connection).context("the client has gone")?;
    let (line, key, bundle) = (stranger.line.clone(), stranger.key, stranger.bundle.clone());
    let account = state.account(&address.phone)?;
    account.check(&proof, &bundle.identity)?;
    let linked = Linked::new(key, bundle, proof);
    account.devices.insert(address.device, linked);
    line.tell(Order::Last(stream_error(515)));
    Ok(address.jid())
}

/// The two steps of a client that shows a code to be typed.
fn typed(state: &mut State, connection: u64, node: &Node, inside: &Node) -> Result<()> {
    let stranger = state.strangers.get_mut(&connection).context("a stranger")?;
    let line = stranger.line.clone();
    match attr(inside, "stage").as_deref() {
        Some("companion_hello") => {
            let jid = attr(inside, "jid").context("no number")?;
            let (phone, _) = jid.split_once('@').context("no number")?;
            let reference = reference();
            let answer = NodeBuilder::new("link_code_companion_reg")
                .attr("stage", "companion_hello")
                .children([NodeBuilder::new("link_code_pairing_ref")
                    .bytes(reference.as_bytes())
                    .build()]);
            stranger.typed = Some(Typed {
                phone: phone.to_owned(),
                sealed: child(inside, "link_code_pairing_wrapped_companion_ephemeral_pub")?.to_vec(),
                reference,
                entered: None,
            });
            line.send(result(node).children([answer.build()]).build());
        }
        Some("companion_finish") => {
            line.send(result(node).build());
            let typed = stranger.typed.as_mut().context("no code was asked for")?;
            let (own, theirs, done) = typed.entered.take().context("no code was typed")?;
            let (phone, identity) = (typed.phone.clone(), stranger.bundle.identity);
            let sealed = child(inside, "link_code_pairing_wrapped_key_bundle")?;
            let secret = open_bundle(&own, &theirs, sealed, state.account(&phone)?.keys(), &identity);
            match secret {
                Ok(secret) => sign(state, connection, &phone, &secret, done)?,
                Err(error) => {
                    let _gone = done.send(Err(error));
                }
            }
        }
        stage => bail!("stage {stage:?}"),
    }
    Ok(())
}

/// Somebody types into a phone the code that a client shows. Ends when the client is linked.
pub(crate) async fn enter(world: &World, code: &str, phone: &str) -> Result<Jid> {
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    let waiting = world.read(|state| {
        let mut strangers = state.strangers.values();
        strangers.find_map(|stranger| {
            let typed = stranger.typed.as_ref().filter(|typed| typed.phone == phone)?;
            Some((stranger.line.connection, typed.sealed.clone()))
        })
    });
    let (connection, sealed) = waiting.context("no client shows a code for this number")?;
    // Slow on purpose: 131,072 rounds of a hash, twice.
    let (theirs, own, answer) = tokio::task::spawn_blocking(move || -> Result<_> {
        let theirs = PairCodeUtils::decrypt_primary_ephemeral_pub(&sealed, &code)?;
        let own = KeyPair::generate(&mut rand::make_rng::<StdRng>());
        let answer = PairCodeUtils::encrypt_ephemeral_pub(&public(&own)?, &code);
        Ok((theirs, own, answer))
    })
    .await??;
    let (done, linked) = oneshot::channel();
    world.change(|state| {
        let identity = state.account(phone)?.identity()?;
        let id = state.number();
        let stranger = state
            .strangers
            .get_mut(&connection)
            .context("the client has gone")?;
        let typed = stranger.typed.as_mut().context("no code")?;
        let leaf = |tag, bytes: &[u8]| NodeBuilder::new(tag).bytes(bytes).build();
        let hello = NodeBuilder::new("link_code_companion_reg")
            .attr("stage", "primary_hello")
            .children([
                leaf("link_code_pairing_wrapped_primary_ephemeral_pub", &answer),
                leaf("primary_identity_pub", &identity),
                leaf("link_code_pairing_ref", typed.reference.as_bytes()),
            ]);
        let notification = from_server("notification")
            .attr("type", "link_code_companion_reg")
            .attr("id", id)
            .attr("t", now())
            .children([hello.build()]);
        typed.entered = Some((own, theirs, done));
        stranger.line.send(notification.build());
        anyhow::Ok(())
    })?;
    linked.await.context("the client has gone")?
}

/// The secret that both sides compute when a code was typed.
fn open_bundle(
    own: &KeyPair,
    theirs: &[u8; 32],
    sealed: &[u8],
    account: &KeyPair,
    device: &[u8; 32],
) -> Result<[u8; 32]> {
    let (salt, rest) = sealed.split_at_checked(32).context("too short")?;
    let (iv, rest) = rest.split_at_checked(12).context("too short")?;
    let shared = own.calculate_agreement(&PublicKey::from_djb_public_key_bytes(theirs)?)?;
    let mut key = [0; 32];
    let purpose = b"link_code_pairing_key_bundle_encryption_key";
    hkdf_sha256_into(&shared, Some(salt), purpose, &mut key)
        .ok()
        .context("no key")?;
    let mut bundle = Vec::new();
    aes_256_gcm_decrypt(&key, iv.try_into()?, b"", rest, &mut bundle)
        .ok()
        .context("the code is not the one that the client shows")?;
    let (identities, random) = bundle.split_at_checked(64).context("too short")?;
    ensure!(identities == [*device, public(account)?].concat(), "other keys");
    let device = PublicKey::from_djb_public_key_bytes(device)?;
    let combined = [&shared[..], &account.calculate_agreement(&device)?, random].concat();
    let mut secret = [0; 32];
    hkdf_sha256_into(&combined, None, b"adv_secret", &mut secret)
        .ok()
        .context("no secret")?;
    Ok(secret)
}
