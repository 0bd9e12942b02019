//! The page of a login in a real browser: Chromium without a window, driven by WebDriver, which is plain HTTP.

use crate::http::{Api, text};
use crate::postgres;
use crate::process::{Process, wait_until};
use crate::sh::{self, Context, Result};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// What keeps Chromium from asking for a screen, a sandbox that root cannot have, and the internet.
const ARGS: [&str; 6] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
];
const READY_MAX: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// An open browser; it ends with this.
pub struct Browser {
    driver: Api,
    session: String,
    _process: Process,
}

impl Browser {
    pub fn open(home: &Path) -> Result<Self> {
        let port = postgres::free_port()?;
        let mut command = sh::guarded("chromedriver");
        command.arg(format!("--port={port}")).env("HOME", home);
        let process = Process::start(&mut command, &home.join("chromedriver.log"))?;
        let driver = Api { base: format!("http://127.0.0.1:{port}"), key: String::new() };
        wait_until(READY_MAX, PAUSE, || driver.get("/status").is_ok_and(|reply| reply.status == 200));
        let options = json!({ "browserName": "chrome", "goog:chromeOptions": { "args": ARGS } });
        let wanted = json!({ "capabilities": { "alwaysMatch": options } });
        let opened = driver.call("POST", "/session", Some(&wanted))?.ok("a browser")?;
        let session = format!("/session/{}", text(&opened, "/value/sessionId"));
        Ok(Self { driver, session, _process: process })
    }

    fn post(&self, what: &str, body: &Value) -> Result<Value> {
        Ok(self.driver.call("POST", &format!("{}/{what}", self.session), Some(body))?.ok(what)?["value"]
            .take())
    }

    /// The path of what a CSS selector finds.
    fn find(&self, selector: &str) -> Result<String> {
        let found = self.post("element", &json!({ "using": "css selector", "value": selector }))?;
        let id = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
        Ok(format!("element/{}", id.context(format!("no {selector}"))?))
    }

    pub fn go(&self, url: &str) -> Result<()> {
        self.post("url", &json!({ "url": url })).map(drop)
    }

    pub fn value(&self, selector: &str) -> Result<String> {
        let path = format!("{}/{}/property/value", self.session, self.find(selector)?);
        Ok(text(&self.driver.get(&path)?.ok("a value")?, "/value").to_owned())
    }

    pub fn type_into(&self, selector: &str, typed: &str) -> Result<()> {
        self.post(&format!("{}/value", self.find(selector)?), &json!({ "text": typed })).map(drop)
    }

    pub fn click(&self, selector: &str) -> Result<()> {
        self.post(&format!("{}/click", self.find(selector)?), &json!({})).map(drop)
    }

    /// What is there to read, once there is something.
    pub fn read(&self, selector: &str) -> Result<String> {
        let path = format!("{}/{}/text", self.session, self.find(selector)?);
        let said = || Ok::<_, sh::Failure>(text(&self.driver.get(&path)?.ok("a text")?, "/value").to_owned());
        wait_until(READY_MAX, PAUSE, || said().is_ok_and(|said| !said.is_empty()));
        said()
    }
}

impl Drop for Browser {
    /// The driver leaves its browser behind if it is only told to end itself.
    fn drop(&mut self) {
        let _ = self.driver.call("DELETE", &self.session, None);
    }
}
