//! A server that answers everything with success and keeps the last request, to be printed.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::Failure;

const BODY_BYTES_MAX: usize = 1_024 * 1_024;
const WAIT: Duration = Duration::from_secs(10);

/// The server, and the requests it took.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Receiver<Value>,
}

impl Server {
    /// Listens on a free loopback port, in a thread that ends with the process.
    pub(crate) fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                std::thread::spawn(move || serve(&stream, &sender));
            }
        });
        Ok(Self { address, requests })
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Prints the next request that came, under a name.
    pub(crate) fn print(&self, name: &str) -> Result<(), Failure> {
        let mut request = self.requests.recv_timeout(WAIT)?;
        request["name"] = json!(name);
        writeln!(std::io::stdout(), "{request}")?;
        Ok(())
    }
}

fn serve(stream: &TcpStream, sender: &Sender<Value>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        sender.send(read_request(&mut reader)?).ok()?;
        let body = answer().to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut writer = stream;
        writer.write_all((head + &body).as_bytes()).ok()?;
    }
}

/// Everything that any call looks for in its answer.
fn answer() -> Value {
    let user = json!({"input": "+12025550142", "wa_id": "12025550142"});
    json!({
        "success": true,
        "messaging_product": "whatsapp",
        "contacts": [user],
        "messages": [{"id": "wamid.OUTGOING", "message_status": "accepted"}],
        "id": "6620017734410",
        "url": "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1",
        "mime_type": "application/pdf",
        "status": "PENDING",
        "category": "UTILITY",
        "data": [{"about": "Open all day"}],
        "block_users": {"added_users": [user], "removed_users": [user]},
    })
}

fn read_request(reader: &mut impl BufRead) -> Option<Value> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut content_type) = (0, String::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "content-type" => value.trim().clone_into(&mut content_type),
            _ => {}
        }
    }
    let mut body = vec![0; usize::min(length, BODY_BYTES_MAX)];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut request = json!({"method": method, "path": path, "query": query});
    if content_type.starts_with("multipart/form-data") {
        request["form"] = json!(form_names(&body));
    } else if !body.is_empty() {
        request["body"] = serde_json::from_slice(&body).ok()?;
    }
    Some(request)
}

/// The names of a form's parts, in order.
fn form_names(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    let parts = text
        .lines()
        .filter(|line| line.to_ascii_lowercase().starts_with("content-disposition"));
    let name = |line: &str| Some(line.split_once("name=\"")?.1.split_once('"')?.0.to_owned());
    parts.filter_map(name).collect()
}
