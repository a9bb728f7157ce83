//! The server's half of the handshake: `XX` for a client that does not know the server, `IK` for one that does.
//!
//! WhatsApp's server proves its key with a chain of two certificates, of which the first is signed by a key that is built
//! into the client. Nobody else has that key, so the chain made here is refused by a client that checks it; a client that
//! already knows this server's key ([`Identity::known`]) never asks for the chain.

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use wacore::handshake::NoiseHandshake;
use wacore::libsignal::protocol::KeyPair;
use wacore::store::{CachedNoiseCert, CachedServerCertChain};
use wacore_binary::consts::{NOISE_PATTERN_IK, NOISE_PATTERN_XX, WA_CONN_HEADER};
use waproto::buffa::{Message as _, MessageField};
use waproto::codec::{handshake_message_decode, handshake_message_to_vec};
use waproto::whatsapp::cert_chain::{NoiseCertificate, noise_certificate::Details};
use waproto::whatsapp::handshake_message::{ClientHello, ServerHello};
use waproto::whatsapp::{CertChain, ClientPayload, HandshakeMessage};

use crate::wire::{Channel, Wire};

/// When the certificates begin and end, in seconds: 2023 and 2096.
const VALID: (u64, u64) = (1_700_000_000, 4_000_000_000);

/// Which handshake a client began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// Three messages: the client learns the server's key.
    Xx,
    /// Two messages: the client knew the server's key.
    Ik,
}

/// The server's key and its certificates.
pub(crate) struct Identity {
    keys: KeyPair,
    chain: Vec<u8>,
    /// What a client remembers of this server after a handshake that it believed.
    pub(crate) known: CachedServerCertChain,
}

/// What a client said before its first stanza.
pub(crate) struct Greeting {
    pub(crate) channel: Channel,
    pub(crate) handshake: Handshake,
    /// The client's own key, by which the server knows a device again.
    pub(crate) key: [u8; 32],
    pub(crate) payload: ClientPayload,
}

impl Identity {
    /// A new server: its key, and certificates signed by keys that no client trusts.
    pub(crate) fn generate() -> Result<Self> {
        let mut rng: StdRng = rand::make_rng();
        let (root, intermediate) = (KeyPair::generate(&mut rng), KeyPair::generate(&mut rng));
        let keys = KeyPair::generate(&mut rng);
        let mut certificate = |serial: u32, subject: &KeyPair, issuer: &KeyPair| -> Result<_> {
            let details = Details {
                serial: Some(serial),
                issuer_serial: Some(serial - 1),
                key: Some(subject.public_key.public_key_bytes().to_vec()),
                not_before: Some(VALID.0),
                not_after: Some(VALID.1),
            };
            let details = details.encode_to_vec();
            let signature = issuer.calculate_signature(&details, &mut rng)?;
            Ok(MessageField::some(NoiseCertificate {
                details: Some(details),
                signature: Some(signature.to_vec()),
            }))
        };
        let chain = CertChain {
            intermediate: certificate(1, &intermediate, &root)?,
            leaf: certificate(2, &keys, &intermediate)?,
        };
        let known = |keys: &KeyPair| -> Result<_> {
            Ok(CachedNoiseCert {
                key: public(keys)?,
                not_before: i64::try_from(VALID.0)?,
                not_after: i64::try_from(VALID.1)?,
            })
        };
        Ok(Self {
            chain: chain.encode_to_vec(),
            known: CachedServerCertChain {
                intermediate: known(&intermediate)?,
                leaf: known(&keys)?,
            },
            keys,
        })
    }

    /// Answers a client's first message, whichever handshake it begins.
    pub(crate) async fn greet(&self, mut wire: Wire) -> Result<Greeting> {
        let hello = wire.frame().await?.context("no greeting")?;
        let hello = handshake_message_decode(&hello)?;
        let hello = hello.client_hello.into_option().context("no hello")?;
        let ephemeral = hello.ephemeral.clone().context("no ephemeral key")?;
        if hello.r#static.is_some() {
            self.known_client(wire, hello, &ephemeral).await
        } else {
            self.new_client(wire, &ephemeral).await
        }
    }

    async fn new_client(&self, mut wire: Wire, theirs: &[u8]) -> Result<Greeting> {
        let ephemeral = KeyPair::generate(&mut rand::make_rng::<StdRng>());
        let mut noise = NoiseHandshake::new(NOISE_PATTERN_XX, &WA_CONN_HEADER)?;
        noise.authenticate(theirs);
        noise.authenticate(ephemeral.public_key.public_key_bytes());
        noise.mix_shared_secret(ephemeral.private_key.serialize(), theirs)?;
        let sealed = noise.encrypt(self.keys.public_key.public_key_bytes())?;
        noise.mix_shared_secret(self.keys.private_key.serialize(), theirs)?;
        let certificates = noise.encrypt(&self.chain)?;
        send_hello(&mut wire, &ephemeral, Some(sealed), certificates).await?;

        let finish = wire.frame().await?.context("the client refused")?;
        let finish = handshake_message_decode(&finish)?;
        let finish = finish.client_finish.into_option().context("no finish")?;
        let key = noise.decrypt(&finish.r#static.context("no key")?)?;
        noise.mix_shared_secret(ephemeral.private_key.serialize(), &key)?;
        let payload = noise.decrypt(&finish.payload.context("no payload")?)?;
        greeting(wire, noise, Handshake::Xx, &key, &payload)
    }

    async fn known_client(&self, mut wire: Wire, hello: ClientHello, theirs: &[u8]) -> Result<Greeting> {
        let own = self.keys.private_key.serialize();
        let mut noise = NoiseHandshake::new(NOISE_PATTERN_IK, &WA_CONN_HEADER)?;
        noise.authenticate(self.keys.public_key.public_key_bytes());
        noise.authenticate(theirs);
        noise.mix_shared_secret(own, theirs)?;
        let key = noise.decrypt(&hello.r#static.context("no key")?)?;
        noise.mix_shared_secret(own, &key)?;
        let payload = noise.decrypt(&hello.payload.context("no payload")?)?;

        let ephemeral = KeyPair::generate(&mut rand::make_rng::<StdRng>());
        noise.authenticate(ephemeral.public_key.public_key_bytes());
        noise.mix_shared_secret(ephemeral.private_key.serialize(), theirs)?;
        noise.mix_shared_secret(ephemeral.private_key.serialize(), &key)?;
        let certificates = noise.encrypt(&self.chain)?;
        send_hello(&mut wire, &ephemeral, None, certificates).await?;
        greeting(wire, noise, Handshake::Ik, &key, &payload)
    }
}

async fn send_hello(
    wire: &mut Wire,
    ephemeral: &KeyPair,
    sealed: Option<Vec<u8>>,
    certificates: Vec<u8>,
) -> Result<()> {
    let hello = HandshakeMessage {
        server_hello: MessageField::some(ServerHello {
            ephemeral: Some(ephemeral.public_key.public_key_bytes().to_vec()),
            r#static: sealed,
            payload: Some(certificates),
            ..Default::default()
        }),
        ..Default::default()
    };
    wire.send(&handshake_message_to_vec(&hello)).await
}

fn greeting(
    wire: Wire,
    noise: NoiseHandshake,
    handshake: Handshake,
    key: &[u8],
    payload: &[u8],
) -> Result<Greeting> {
    ensure!(key.len() == 32, "a key of {} bytes", key.len());
    // The keys' names are the client's: what it writes, the server reads.
    let (theirs, ours) = noise.finish()?;
    Ok(Greeting {
        channel: Channel::new(wire, theirs, ours),
        handshake,
        key: key.try_into()?,
        payload: ClientPayload::decode_from_slice(payload)?,
    })
}

/// The 32 bytes of a public key.
pub(crate) fn public(keys: &KeyPair) -> Result<[u8; 32]> {
    Ok(keys.public_key.public_key_bytes().try_into()?)
}
