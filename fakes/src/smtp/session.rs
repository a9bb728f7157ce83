//! One client's session.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::{Fault, Mail, State, Step, lock};

/// The mail that is being handed over.
#[derive(Default)]
struct Offer {
    from: Option<String>,
    to: Vec<String>,
    fault: Option<Fault>,
}

impl Offer {
    fn refused_at(&self, step: Step) -> Option<String> {
        match self.fault {
            Some(Fault::Refuse(at, code)) if at == step => Some(format!("{code} refused")),
            Some(Fault::Say(at, words)) if at == step => Some(words.to_owned()),
            _ => None,
        }
    }
}

/// Whether the connection is to be kept.
enum After {
    GoOn,
    HangUp,
}

pub(super) async fn serve(stream: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    write.write_all(b"220 fake.helixai.test ESMTP\r\n").await?;
    let mut greeted = false;
    let mut offer = Offer::default();
    let mut line = String::new();
    loop {
        line.clear();
        if read.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim_end().to_owned();
        let word = command.get(..4).unwrap_or_default().to_ascii_uppercase();
        let answer = match word.as_str() {
            "EHLO" => {
                greeted = true;
                "250-fake.helixai.test\r\n250-8BITMIME\r\n250 SIZE 10485760".to_owned()
            }
            "HELO" => {
                greeted = true;
                "250 fake.helixai.test".to_owned()
            }
            "NOOP" => "250 Ok".to_owned(),
            "RSET" => {
                offer = Offer::default();
                "250 Ok".to_owned()
            }
            "QUIT" => {
                write.write_all(b"221 Bye\r\n").await?;
                return Ok(());
            }
            "MAIL" if greeted && offer.from.is_none() => sender(&mut offer, &command, state),
            "RCPT" if offer.from.is_some() => recipient(&mut offer, &command, state),
            "DATA" if !offer.to.is_empty() => {
                let offered = std::mem::take(&mut offer);
                match content(offered, &mut read, &mut write, state).await? {
                    After::GoOn => continue,
                    After::HangUp => return Ok(()),
                }
            }
            "MAIL" | "RCPT" | "DATA" => "503 Bad sequence of commands".to_owned(),
            _ => "502 Command not implemented".to_owned(),
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

fn sender(offer: &mut Offer, command: &str, state: &Mutex<State>) -> String {
    let mut state = lock(state);
    state.tried += 1;
    offer.fault = state.faults.pop_front();
    if let Some(refusal) = offer.refused_at(Step::Sender) {
        *offer = Offer::default();
        return refusal;
    }
    offer.from = Some(path(command));
    "250 Ok".to_owned()
}

fn recipient(offer: &mut Offer, command: &str, state: &Mutex<State>) -> String {
    let address = path(command);
    let always = lock(state).refused.get(&address).copied();
    // As real ones do, it repeats the address.
    let always = always.map(|code| {
        format!(
            "{code} {}.1.1 <{address}>: recipient address rejected",
            code / 100
        )
    });
    match always.or(offer.refused_at(Step::Recipient)) {
        Some(refusal) => refusal,
        None => {
            offer.to.push(address);
            "250 Ok".to_owned()
        }
    }
}

async fn content(
    offer: Offer,
    read: &mut BufReader<OwnedReadHalf>,
    write: &mut OwnedWriteHalf,
    state: &Mutex<State>,
) -> io::Result<After> {
    if let Some(refusal) = offer.refused_at(Step::Data) {
        write.write_all(format!("{refusal}\r\n").as_bytes()).await?;
        return Ok(After::GoOn);
    }
    write
        .write_all(b"354 End data with <CR><LF>.<CR><LF>\r\n")
        .await?;
    if offer.fault == Some(Fault::DropBeforeContent) {
        return Ok(After::HangUp);
    }
    let mut text = String::new();
    let mut line = String::new();
    loop {
        line.clear();
        if read.read_line(&mut line).await? == 0 {
            return Ok(After::HangUp);
        }
        if line == ".\r\n" {
            break;
        }
        // RFC 5321, 4.5.2: a point that a line begins with was doubled.
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
    if let Some(refusal) = offer.refused_at(Step::Content) {
        write.write_all(format!("{refusal}\r\n").as_bytes()).await?;
        return Ok(After::GoOn);
    }
    // From here on, before anybody sees that it was taken.
    let late = Arc::clone(&lock(state).late);
    let late = late.notified();
    lock(state).taken.push(Mail {
        from: offer.from.unwrap_or_default(),
        to: offer.to,
        source: text,
    });
    match offer.fault {
        Some(Fault::DropAfterContent) => return Ok(After::HangUp),
        // What the client says meanwhile is read afterwards.
        Some(Fault::Stall) => late.await,
        _ => {}
    }
    write.write_all(b"250 2.0.0 Ok: queued\r\n").await?;
    Ok(After::GoOn)
}

/// `MAIL FROM:<a@b> SIZE=3`: the address.
fn path(command: &str) -> String {
    let (_, rest) = command.split_once('<').unwrap_or_default();
    rest.split('>').next().unwrap_or_default().to_owned()
}
