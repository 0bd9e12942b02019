//! What users do with pods and keys.

use super::Run;
use crate::{Reply, TestServer};
use axum::http::StatusCode;
use futures_util::future::join_all;
use podbay_core::{HostId, PodId, limits};
use serde_json::json;
use std::pin::Pin;

/// Answers of a server that could not do it just now; whether it did is for the rows to say.
fn is_trouble(status: StatusCode) -> bool {
    status.as_u16() == 503
}

impl Run {
    /// Where there are several hosts, also of GPUs.
    fn order(&mut self) -> serde_json::Value {
        let mut order = TestServer::order();
        if self.server.worlds.len() > 1 {
            let pod = &mut order["pod"];
            match self.draw.below(8) {
                0..=3 => {}
                4..=5 => pod["cloudId"] = "cpu-4x16".into(),
                more => {
                    let count = 1 << (more - 6 + self.draw.below(2));
                    (pod["cloudId"], pod["gpuCount"]) = (format!("h100-80gb-x{count}").into(), count.into());
                    (pod["gpuType"], pod["socket"]) = ("H100_80GB".into(), "SXM5".into());
                }
            }
        }
        order
    }

    /// One or several at a time.
    pub(super) async fn create(&mut self) -> Result<String, String> {
        let mut calls = Vec::new();
        for _ in 0..self.draw.one_of([1, 1, 1, 2, 4, 8, 16]) {
            let mut order = self.order();
            order["pod"]["autoRestart"] = (self.draw.below(3) == 0).into();
            if let Some(disk) = self.pick_disk().filter(|_| self.draw.below(2) == 0) {
                order["disks"] = json!([disk]);
            }
            let user = self.user().await;
            calls.push(async move { user.post("/api/v1/pods", &order).await });
        }
        let mut told = Vec::new();
        for reply in join_all(calls).await {
            told.push(match reply.status.as_u16() {
                200 => {
                    let id = reply.json["id"].as_str().unwrap_or_default().to_owned();
                    let told = format!("create {id}");
                    self.pods.insert(id);
                    told
                }
                // 422: somebody else's disk, one that is gone, or an offer that no host has.
                409 | 422 | 503 => format!("create refused: {}", reply.json),
                _ => return Err(format!("W: a create was answered {}: {}", reply.status, reply.json)),
            });
        }
        Ok(told.join(", "))
    }

    /// Several at a time: what is ended while there are faults is worth more than what the end of the run clears away.
    pub(super) async fn delete(&mut self) -> Result<String, String> {
        let mut calls = Vec::new();
        for _ in 0..self.draw.one_of([2, 4, 8, 16]) {
            let Some(id) = self.pick() else { return Ok("nothing to delete".into()) };
            let user = self.user().await;
            calls.push(async move { (user.delete(&format!("/api/v1/pods/{id}")).await, id) });
        }
        let mut told = Vec::new();
        for (reply, id) in join_all(calls).await {
            told.push(match reply.status.as_u16() {
                // 404: somebody else's, or gone already.
                200 | 404 | 503 => format!("delete {id}: {}", reply.status),
                _ => return Err(format!("W: a delete was answered {}: {}", reply.status, reply.json)),
            });
        }
        Ok(told.join(", "))
    }

    /// The owner ends a pod by force, which is refused unless it is called for.
    pub(super) async fn force_one(&mut self) -> Result<String, String> {
        let Some(id) = self.pick() else { return Ok("nothing to end by force".into()) };
        let owner = self.server.owner().await.through(self.servers.any(&mut self.draw));
        let reply = owner.delete(&format!("/api/v1/pods/{id}?force=true")).await;
        match reply.status.as_u16() {
            200 | 404 | 409 | 503 => Ok(format!("force {id}: {}", reply.status)),
            _ => Err(format!("W: an end by force was answered {}: {}", reply.status, reply.json)),
        }
    }

    /// One server looks again and again, whatever the host says: mostly as seldom as a host is still taken for
    /// silent, since each look costs as much as many a move.
    pub(super) async fn vigil(&mut self) -> Result<String, String> {
        let (nth, looks) = (self.draw.below(self.servers.count()) as usize, 1 + self.draw.below(17));
        let every = self.draw.one_of([limits::SWEEP_EVERY, limits::LOOK_MAX, limits::LOOK_MAX]);
        for _ in 0..looks {
            self.servers.look(nth).await;
            self.server.clock.advance(every);
        }
        Ok(format!("server {nth} looks {looks} times, every {every:?}"))
    }

    /// Hosts are lost, and the owner ends all that was on them: that does not wait for the hosts.
    pub(super) async fn force(&mut self, lost: &[HostId]) -> Result<(), String> {
        // One that has never answered is silent only once it was looked at for so long.
        let end = self.server.clock.now().plus(limits::HOST_SILENT_AFTER + 2 * limits::SWEEP_EVERY);
        while self.server.clock.now() < end {
            self.server.advance(limits::SWEEP_EVERY).await;
            self.server.sweep().await;
        }
        let there = |pod: &&podbay_core::pod::Pod| lost.contains(&pod.host);
        let ids: Vec<String> =
            self.books().await?.pods.iter().filter(there).map(|pod| pod.id.to_string()).collect();
        for id in ids {
            let reply = self.server.owner().await.delete(&format!("/api/v1/pods/{id}?force=true")).await;
            if !matches!(reply.status.as_u16(), 200 | 404) {
                return Err(format!("P6: {id} was not ended by force: {}", reply.json));
            }
        }
        self.check().await
    }

    /// An order with a key at a server that dies before it has answered; then a storm of the same order
    /// until it is answered.
    pub(super) async fn insist(&mut self) -> Result<String, String> {
        let name = self.draw.one_of(["ada", "eve"]);
        let key = format!("insist-{}", self.summary.checks);
        let mut order = TestServer::order();
        order["pod"]["name"] = key.as_str().into();
        let left = self.draw.below(4);
        let nth = self.draw.below(self.servers.count()) as usize;
        let client = self.server.user(name).await.once(&key);
        let lost = client.through(self.servers.router(nth));
        let points = self.servers.points(nth);
        points.arm(left);
        let sent = order.clone();
        let mut call: Pin<Box<dyn Future<Output = Reply> + Send>> =
            Box::pin(async move { lost.post("/api/v1/pods", &sent).await });
        let answered = points.until_stopped(&mut call).await;
        drop(call);
        self.replace(nth).await;
        let mut storm = Vec::new();
        for _ in 0..4 {
            let client = client.through(self.servers.any(&mut self.draw));
            storm.push(client);
        }
        let [one, two, three, four] = &storm[..] else { return Err("W: no storm".into()) };
        let path = "/api/v1/pods";
        let (one, two, three, four) = tokio::join!(
            one.post(path, &order),
            two.post(path, &order),
            three.post(path, &order),
            four.post(path, &order)
        );
        let last = client.through(self.servers.any(&mut self.draw)).post(path, &order).await;
        if is_trouble(last.status) {
            return Ok(format!("insisted in vain: {}", last.json));
        }
        let answers: Vec<&Reply> = answered.iter().chain([&one, &two, &three, &four]).collect();
        for reply in answers.iter().filter(|reply| reply.status == 200) {
            if reply.text != last.text {
                return Err(format!("P1: {key} has two answers: {} and {}", reply.json, last.json));
            }
        }
        let page = self.user_named(name).await.get("/api/v1/pods?limit=1000").await.json;
        let made: Vec<_> =
            page["data"].as_array().into_iter().flatten().filter(|pod| pod["name"] == *key).collect();
        match (last.status.as_u16(), &made[..]) {
            (200, [pod]) if pod["id"] == last.json["id"] => {
                self.pods.insert(pod["id"].as_str().unwrap_or_default().to_owned());
                Ok(format!("insisted: {}", pod["id"]))
            }
            (409, []) => Ok(format!("insisted in vain: {}", last.json)),
            _ => Err(format!("P1: {key} was answered {} and has made {made:?}", last.json)),
        }
    }

    /// A key is revoked at one server; from then on no server takes it.
    pub(super) async fn revoke(&mut self) -> Result<String, String> {
        let user = self.user().await;
        let asked = json!({ "name": "passing", "scopes": { "instances": "write" } });
        let made = user.post("/api/v1/api_keys", &asked).await;
        if is_trouble(made.status) {
            return Ok("no key to revoke".into());
        }
        if made.status != 200 {
            return Err(format!("W: a key was asked for and answered {}: {}", made.status, made.json));
        }
        let (id, key) = (made.json["id"].as_str(), made.json["key"].as_str());
        let (Some(id), Some(key)) = (id, key) else { return Err(format!("W: no key in {}", made.json)) };
        let passing = self.user().await.with_key(key);
        if passing.get("/api/v1/pods").await.status != 200 {
            return Err("S1: a fresh key was refused".into());
        }
        let revoked = user.delete(&format!("/api/v1/api_keys/{id}")).await;
        let after = self.user().await.with_key(key).get("/api/v1/pods").await;
        match (revoked.status.as_u16(), after.status.as_u16()) {
            (200, 401) | (503, 200 | 401) => Ok(format!("a key was revoked: {}", revoked.status)),
            (_, status) => Err(format!("S1: a revoked key was answered {status}")),
        }
    }

    /// The command of a pod ends again and again, and somebody looks each time.
    pub(super) async fn plague(&mut self) -> Result<String, String> {
        let Some(id) = self.pick() else { return Ok("nothing to end".into()) };
        let times = 1 + self.draw.below(9);
        for _ in 0..times {
            for (_, world) in &self.server.worlds {
                for machine in world.machines_of(&PodId::from_stored(id.clone())) {
                    world.machine_end(&machine.spec.name, 1, false);
                }
            }
            self.servers.sweep(&mut self.draw).await;
            self.server.clock.advance(limits::BACKOFF_MAX);
            for _ in 0..4 {
                self.servers.pass(&mut self.draw).await;
            }
        }
        Ok(format!("the machine of {id} ends {times} times"))
    }

    /// What a client sees must make sense at any time.
    pub(super) async fn look(&mut self) -> Result<String, String> {
        let name = self.draw.one_of(["ada", "eve"]);
        let user = self.user_named(name).await;
        let me = user.get("/api/v1/user/whoami").await.json["data"]["id"].clone();
        let page = user.get("/api/v1/pods?limit=1000").await;
        if page.status != 200 {
            return Err(format!("W: a list was answered {}: {}", page.status, page.json));
        }
        for pod in page.json["data"].as_array().into_iter().flatten() {
            let status = pod["status"].as_str().unwrap_or_default();
            let reachable = !pod["sshConnection"].is_null() && !pod["ip"].is_null();
            if (status == "ACTIVE") != reachable {
                return Err(format!("W: {status} and reachable {reachable}: {pod}"));
            }
            if status == "ERROR" && pod["installationFailure"].is_null() {
                return Err(format!("W: ERROR without a reason: {pod}"));
            }
            if pod["userId"] != me {
                return Err(format!("S1: {name} sees {pod}"));
            }
        }
        Ok("look".into())
    }
}
