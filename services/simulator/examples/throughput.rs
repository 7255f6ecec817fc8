//! What a message costs the simulator: `cargo run --release -p assent-simulator --example throughput -- [messages] [rate]`.
//!
//! The simulator runs in a child process whose CPU time is read from `/proc`; this process sends messages at a steady
//! rate and takes the callbacks, both over raw sockets so that it leaves the machine to the simulator.

#![allow(clippy::print_stdout, reason = "a report for people")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use assent_simulator::{Args, Config, DEFAULT_NUMBER_ID, DEFAULT_TOKEN, Latency, Mix};

const CHILD: &str = "ASSENT_THROUGHPUT_CALLBACK_URL";
const CONNECTIONS: u64 = 16;
const CALLBACKS_PER_MESSAGE: u64 = 3;
/// Kernel clock ticks a second, for `/proc/PID/stat`.
const TICKS_PER_SECOND: f64 = 100.0;

fn main() {
    if let Ok(url) = std::env::var(CHILD) {
        return simulate(url);
    }
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse::<u64>().expect("a number"));
    let messages = arguments.next().unwrap_or(20_000);
    let rate = arguments.next().unwrap_or(2_000);
    measure(messages, rate);
}

fn simulate(url: String) {
    let mut config: Config = Args {
        port: Some(0),
        ..Args::default()
    }
    .into_config()
    .expect("defaults are valid");
    config.apps[0].callback_url = Some(url);
    config.mix = Mix::ideal();
    config.latency = Latency::fast();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        assent_simulator::run(config, tokio_util::sync::CancellationToken::new())
            .await
            .expect("it runs");
    });
}

fn measure(messages: u64, rate: u64) {
    let (callback_url, received) = receive();
    let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
        .env(CHILD, callback_url)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let mut ready = String::new();
    BufReader::new(child.stdout.take().expect("stdout is piped"))
        .read_line(&mut ready)
        .expect("a ready line");
    let address = ready.trim().rsplit('/').next().expect("an address").to_owned();
    let started = Instant::now();
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|sender| {
            let address = address.clone();
            std::thread::spawn(move || send(&address, sender, messages, rate, started))
        })
        .collect();
    for sender in senders {
        sender.join().expect("a sender ends");
    }
    let sent_in = started.elapsed();
    while received.load(Ordering::Relaxed) < messages * CALLBACKS_PER_MESSAGE {
        assert!(
            started.elapsed() < sent_in + Duration::from_mins(1),
            "{} callbacks",
            received.load(Ordering::Relaxed)
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let all_in = started.elapsed();
    let cpu_ms = cpu_ms(child.id());
    println!(
        "messages {messages}, sent in {:.2} s, last callback after {:.2} s",
        sent_in.as_secs_f64(),
        all_in.as_secs_f64()
    );
    println!("accepted per second  {:.0}", messages as f64 / sent_in.as_secs_f64());
    println!(
        "callbacks per second {:.0}",
        (messages * CALLBACKS_PER_MESSAGE) as f64 / all_in.as_secs_f64()
    );
    println!("simulator CPU        {:.3} ms per message", cpu_ms / messages as f64);
    child.kill().expect("the child ends");
    child.wait().expect("the child has ended");
}

fn send(address: &str, sender: u64, messages: u64, rate: u64, started: Instant) {
    let mut stream = TcpStream::connect(address).expect("the simulator listens");
    stream.set_nodelay(true).expect("a TCP socket");
    let mut buffer = [0_u8; 4_096];
    for nth in (sender..messages).step_by(CONNECTIONS as usize) {
        let due = Duration::from_micros(nth * 1_000_000 / rate);
        if let Some(early) = due.checked_sub(started.elapsed()) {
            std::thread::sleep(early);
        }
        let body = format!(
            r#"{{"messaging_product":"whatsapp","recipient_type":"individual","to":"+1202{nth:07}","type":"template","biz_opaque_callback_data":"cmd:0198c0de-0000-7000-8000-{nth:012}","template":{{"name":"order_update","language":{{"code":"en_US"}},"components":[{{"type":"body","parameters":[{{"type":"text","text":"Ana"}},{{"type":"text","text":"A-17"}}]}}]}}}}"#
        );
        let head = format!(
            "POST /v23.0/{DEFAULT_NUMBER_ID}/messages HTTP/1.1\r\nhost: sim\r\nauthorization: Bearer {DEFAULT_TOKEN}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream
            .write_all((head + &body).as_bytes())
            .expect("the request is taken");
        let count = stream.read(&mut buffer).expect("an answer comes");
        assert!(
            buffer[..count].starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&buffer[..count])
        );
    }
}

/// Takes callbacks as cheaply as possible, and counts them.
fn receive() -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/callback", listener.local_addr().expect("an address"));
    let received = Arc::new(AtomicU64::new(0));
    let counter = received.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, counter) = (stream.expect("a connection"), counter.clone());
            std::thread::spawn(move || {
                let mut pending = Vec::new();
                let mut buffer = [0_u8; 16_384];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    pending.extend_from_slice(&buffer[..count]);
                    while let Some(length) = complete(&pending) {
                        pending.drain(..length);
                        counter.fetch_add(1, Ordering::Relaxed);
                        if stream
                            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                            .is_err()
                        {
                            return;
                        }
                    }
                }
            });
        }
    });
    (url, received)
}

/// Length of the first whole request, if there is one.
fn complete(bytes: &[u8]) -> Option<usize> {
    let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..head_end]).ok()?.to_ascii_lowercase();
    let length: usize = head
        .split("content-length: ")
        .nth(1)?
        .split("\r\n")
        .next()?
        .parse()
        .ok()?;
    (bytes.len() >= head_end + length).then_some(head_end + length)
}

/// User and system time a process has used, ms.
fn cpu_ms(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("Linux");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("a name in brackets")
        .split_whitespace()
        .collect();
    let ticks: f64 = fields[11..13]
        .iter()
        .map(|field| field.parse::<f64>().expect("a number"))
        .sum();
    ticks * 1_000.0 / TICKS_PER_SECOND
}
