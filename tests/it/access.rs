//! Keys over real HTTP: who is let in, who is not, and what is written down about it.

use serde_json::{Value, json};

use crate::{
    guests::MARKED_1,
    support::{Host, check_problem, run, sentences},
};

mod machine;

/// A host with keys, and a client of it that shows one of them.
struct Guest<'a> {
    host: &'a Host,
    key: String,
    http: reqwest::Client,
}

impl<'a> Guest<'a> {
    fn new(host: &'a Host, key: &str) -> Self {
        Self {
            host,
            key: key.to_owned(),
            http: reqwest::Client::new(),
        }
    }

    /// A client with a fresh key, which `admin` makes.
    async fn with(admin: &Guest<'a>, body: Value) -> Guest<'a> {
        let (status, made) = admin.call("POST", "/auth/keys", Some(&body)).await;
        assert_eq!(status, 201, "{made}");
        Self::new(admin.host, made["key"].as_str().expect("a key"))
    }

    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let request = self
            .http
            .request(method, format!("{}{path}", self.host.url))
            .bearer_auth(&self.key);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, None).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call("POST", path, Some(&body)).await
    }

    fn id(&self) -> &str {
        self.key.split('_').nth(1).expect("an id")
    }
}

/// The first key of a host, made while nobody needs one.
async fn admin(host: &Host) -> Guest<'_> {
    let body = json!({"name": "boss", "scopes": ["admin"]});
    let (status, made) = host.post("/auth/keys", &body).await;
    assert_eq!(status, 201, "{made}");
    Guest::new(host, made["key"].as_str().expect("a key"))
}

#[tokio::test]
async fn a_first_key_that_could_make_no_other_is_refused() {
    let host = Host::fresh();
    let body = json!({"name": "reader", "scopes": ["search"], "indexes": ["notes"]});
    let refused = host.post("/auth/keys", &body).await;
    check_problem(refused, 409, "first_key", &["admin", "key create"]);
    assert_eq!(host.read("/auth/me").await["name"], "anonymous");
    let boss = admin(&host).await;
    let reader = Guest::with(&boss, body).await;
    let refused = reader.get("/datasets").await;
    check_problem(refused, 403, "scope_missing", &["`read`", "--data DIR"]);
}

#[tokio::test]
async fn from_the_first_key_on_every_route_asks_for_one() {
    let host = Host::fresh();
    assert_eq!(host.read("/auth/me").await["name"], "anonymous");
    host.ingest("notes", sentences()).await;
    let admin = admin(&host).await;
    for path in [
        "/datasets",
        "/plugins",
        "/tasks",
        "/auth/me",
        "/nowhere",
        "/metrics",
    ] {
        check_problem(host.get(path).await, 401, "key_needed", &["Bearer"]);
    }
    check_problem(
        host.delete("/datasets/notes").await,
        401,
        "key_needed",
        &["Bearer"],
    );
    for open in ["/livez", "/readyz", "/openapi.json"] {
        assert!(host.get(open).await.0 < 300, "{open}");
    }
    assert_eq!(host.read("/readyz").await["components"], json!([]));
    let (_, ready) = admin.get("/readyz").await;
    assert!(
        ready["components"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    );
    assert_eq!(admin.get("/datasets/notes").await.0, 200);
    check_problem(
        admin.get("/nowhere").await,
        404,
        "unknown_route",
        &["nowhere"],
    );
    check_problem(
        admin.call("PUT", "/datasets", None).await,
        405,
        "wrong_method",
        &["PUT"],
    );
    let forged = Guest::new(&host, &format!("bh_{}_{}", admin.id(), "0".repeat(64)));
    check_problem(
        forged.get("/datasets").await,
        401,
        "key_unknown",
        &["revoked"],
    );
    check_problem(
        Guest::new(&host, "hunter2").get("/datasets").await,
        401,
        "key_unknown",
        &[],
    );
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say_and_no_more() {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    host.index("notes", "notes", "text").await;
    let admin = admin(&host).await;
    let search = json!({"text": "bread", "k": 1});
    let team = "/plugins/scoring/acme/frugal";
    let calls = [
        ("GET", "/datasets/notes", None, "read"),
        ("GET", "/vectors/trials/notes", None, "read"),
        ("GET", "/plugins", None, "read"),
        (
            "POST",
            "/vectors/indexes/notes/search",
            Some(&search),
            "search",
        ),
        (
            "POST",
            "/ingest/file?dataset=more&format=csv",
            None,
            "ingest",
        ),
        ("DELETE", "/datasets/more", None, "ingest"),
        ("POST", "/vectors/rollback/notes", None, "tune"),
        ("DELETE", "/vectors/indexes/nowhere", None, "tune"),
        (
            "POST",
            &format!("{team}/rollback"),
            None,
            "plugins:write:acme",
        ),
        (
            "DELETE",
            &format!("{team}/versions/9.9.9"),
            None,
            "plugins:write:acme",
        ),
        ("GET", "/auth/keys", None, "admin"),
        ("GET", "/audit", None, "admin"),
    ];
    for scope in ["read", "search", "ingest", "tune", "plugins:write:acme"] {
        let body = json!({"name": scope, "scopes": [scope]});
        let guest = Guest::with(&admin, body).await;
        for (method, path, body, needed) in &calls {
            let (status, answer) = guest.call(method, path, *body).await;
            let refused = (status, answer["code"].as_str()) == (403, Some("scope_missing"));
            assert_eq!(
                refused,
                *needed != scope,
                "{scope}: {method} {path}: {answer}"
            );
            if refused {
                let detail = answer["detail"].as_str().expect("detail");
                assert!(
                    detail.contains(needed),
                    "`{needed}` is missing in: {detail}"
                );
            }
        }
    }
    for (method, path, body, _) in &calls {
        let (status, answer) = admin.call(method, path, *body).await;
        assert!(![401, 403].contains(&status), "{method} {path}: {answer}");
    }
}

#[tokio::test]
async fn a_team_does_not_touch_the_plugins_of_another() {
    let host = Host::fresh();
    let admin = admin(&host).await;
    let body = json!({"name": "ci", "scopes": ["plugins:write:acme"]});
    let acme = Guest::with(&admin, body).await;
    for (method, path) in [
        ("POST", "versions?version=1.0.0"),
        ("POST", "versions/1.0.0/activate"),
        ("POST", "versions/1.0.0/shadow"),
        ("DELETE", "versions/1.0.0/shadow"),
        ("DELETE", "versions/1.0.0"),
        ("POST", "rollback"),
        ("POST", "deactivate"),
    ] {
        let path = format!("/plugins/scoring/boathouse/pareto/{path}");
        check_problem(
            acme.call(method, &path, None).await,
            403,
            "scope_missing",
            &["plugins:write:boathouse"],
        );
    }
    let (status, _) = admin.get("/plugins/scoring/boathouse/pareto").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_key_that_is_kept_to_a_dataset_reaches_its_indexes_and_nothing_else() {
    let host = Host::fresh();
    for name in ["mine", "other"] {
        host.ingest(name, sentences()).await;
        host.index(name, name, "text").await;
    }
    let admin = admin(&host).await;
    let body = json!({
        "name": "mine", "scopes": ["read", "search", "ingest", "tune"], "datasets": ["mine"],
    });
    let guest = Guest::with(&admin, body).await;
    let names = |list: &Value, key: &str| -> Vec<Value> {
        let all = list[key].as_array().expect("a list");
        all.iter().map(|one| one["name"].clone()).collect()
    };
    assert_eq!(names(&guest.get("/datasets").await.1, "datasets"), ["mine"]);
    let (_, indexes) = guest.get("/vectors/indexes").await;
    assert_eq!(names(&indexes, "indexes"), ["mine"]);
    let (_, served) = guest.get("/vectors/promotions").await;
    assert_eq!(served["promotions"].as_array().map(Vec::len), Some(1));
    let (_, tasks) = guest.get("/tasks").await;
    assert_eq!(tasks["tasks"], json!([]), "those of others");
    let search = json!({"text": "bread", "k": 1});
    let (status, _) = guest
        .post("/vectors/indexes/mine/search", search.clone())
        .await;
    assert_eq!(status, 200);
    let other = json!({"index": "other"});
    let index = json!({"name": "new", "dataset": "other", "text_column": "text"});
    for (method, path, body) in [
        ("GET", "/datasets/other", None),
        ("GET", "/datasets/nowhere", None),
        ("GET", "/datasets/other/rows", None),
        ("GET", "/lineage/other", None),
        ("DELETE", "/datasets/other", None),
        ("GET", "/vectors/indexes/other", None),
        ("GET", "/vectors/indexes/nowhere", None),
        ("POST", "/vectors/indexes/other/search", Some(&search)),
        ("GET", "/vectors/evalsets?index=other", None),
        ("POST", "/vectors/evalsets", Some(&other)),
        ("POST", "/vectors/indexes", Some(&index)),
        ("POST", "/ingest/file?dataset=other&format=csv", None),
        ("GET", "/plugins", None),
    ] {
        let answer = guest.call(method, path, body).await;
        check_problem(answer, 403, "forbidden", &["key"]);
    }
    let (status, task) = guest
        .post("/vectors/evalsets", json!({"index": "mine"}))
        .await;
    assert_eq!(status, 202, "{task}");
    let path = format!("/tasks/{}", task["id"].as_str().expect("id"));
    let (status, own) = guest.get(&path).await;
    assert_eq!(status, 200, "its own task: {own}");
    assert!(own["by"].as_str().is_some_and(|by| by.contains(guest.id())));
}

#[tokio::test]
async fn keys_are_shown_once_revoked_for_good_and_kept_over_a_restart() {
    let host = Host::fresh();
    let boss = admin(&host).await.key;
    let admin = Guest::new(&host, &boss);
    let body = json!({"name": "reader", "scopes": ["read"], "expires_in_days": 30});
    let reader = Guest::with(&admin, body).await;
    let reader_key = reader.key.clone();
    assert_eq!(reader.get("/datasets").await.0, 200);
    let (_, list) = admin.get("/auth/keys").await;
    let shown = list.to_string();
    for key in [&boss, &reader_key] {
        let secret = key.rsplit('_').next().expect("a secret");
        assert!(!shown.contains(secret), "{shown}");
    }
    assert_eq!(list["keys"].as_array().map(Vec::len), Some(2));
    let bad = json!({"name": "x", "scopes": ["rule"]});
    check_problem(
        admin.post("/auth/keys", bad).await,
        422,
        "bad_body",
        &["rule"],
    );
    let bad = json!({"name": "", "scopes": ["read"]});
    check_problem(
        admin.post("/auth/keys", bad).await,
        422,
        "bad_key",
        &["name"],
    );
    let id = reader.id().to_owned();

    let host = host.kill_and_restart();
    let (admin, reader) = (Guest::new(&host, &boss), Guest::new(&host, &reader_key));
    check_problem(host.get("/datasets").await, 401, "key_needed", &[]);
    assert_eq!(reader.get("/datasets").await.0, 200);
    let path = format!("/auth/keys/{id}");
    assert_eq!(admin.call("DELETE", &path, None).await.0, 204);
    check_problem(reader.get("/datasets").await, 401, "key_unknown", &[]);
    let again = admin.call("DELETE", &path, None).await;
    check_problem(again, 404, "unknown_key", &[]);

    let host = host.kill_and_restart();
    let reader = Guest::new(&host, &reader_key);
    check_problem(reader.get("/datasets").await, 401, "key_unknown", &[]);
}

#[tokio::test]
async fn a_key_whose_time_is_over_says_so() {
    let host = Host::fresh();
    let body = json!({"name": "brief", "scopes": ["admin"], "expires_in_days": 1});
    let (_, made) = host.post("/auth/keys", &body).await;
    let key = made["key"].as_str().expect("a key").to_owned();
    let folder = host.data.join("primary/auth/keys");
    let expires = made["expires_at"].as_str().expect("a time").to_owned();
    // As if a day had passed: the record says that it ended long ago.
    let host = host.kill_and(|_| {
        for file in std::fs::read_dir(&folder).expect("keys").flatten() {
            let text = std::fs::read_to_string(file.path()).expect("text");
            assert!(text.contains(&expires), "{text}");
            let text = text.replace(&expires, "2001-01-01T00:00:00.000Z");
            std::fs::write(file.path(), text).expect("written");
        }
    });
    let answer = Guest::new(&host, &key).get("/datasets").await;
    check_problem(answer, 401, "key_expired", &["2001-01-01"]);
    check_problem(host.get("/datasets").await, 401, "key_needed", &[]);
}

#[tokio::test]
async fn every_change_and_every_refusal_is_written_down() {
    let host = Host::fresh();
    host.ingest("notes", sentences()).await;
    let boss = admin(&host).await.key;
    let admin = Guest::new(&host, &boss);
    let body = json!({"name": "reader", "scopes": ["read"]});
    let reader = Guest::with(&admin, body).await;
    for _ in 0..50 {
        let refused = reader.call("DELETE", "/datasets/notes", None).await;
        assert_eq!(refused.0, 403);
        assert_eq!(host.get("/datasets").await.0, 401);
    }
    assert_eq!(reader.get("/datasets").await.0, 200);
    assert_eq!(admin.call("DELETE", "/datasets/notes", None).await.0, 204);
    let (status, page) = admin.get("/audit?limit=1000").await;
    assert_eq!(status, 200, "{page}");
    let lines = page["lines"].as_array().expect("lines");
    let of = |method: &str, path: &str| -> Vec<&Value> {
        let same = |line: &&Value| line["method"] == method && line["path"] == path;
        lines.iter().filter(same).collect()
    };
    let ingests = of("POST", "/ingest/file?dataset=notes&format=csv&mode=replace");
    assert_eq!(ingests.len(), 1, "{page}");
    assert_eq!(
        (&ingests[0]["caller"], &ingests[0]["status"]),
        (&json!("anonymous"), &json!(202))
    );
    let deletions = of("DELETE", "/datasets/notes");
    let (done, refused): (Vec<&Value>, Vec<&Value>) = deletions
        .into_iter()
        .partition(|line| line["status"] == 204);
    let by = |line: &Value| line["caller"].as_str().unwrap_or_default().to_owned();
    assert_eq!(done.len(), 1, "{page}");
    assert!(by(done[0]).contains(admin.id()));
    // One, and one more for each minute that began meanwhile.
    assert!(
        (1..10).contains(&refused.len()),
        "fifty equal refusals: {page}"
    );
    assert!(by(refused[0]).contains(reader.id()));
    assert_eq!(refused[0]["code"], "scope_missing");
    assert_eq!(refused[0]["from"], "127.0.0.1");
    let unknown = of("GET", "/datasets");
    assert!((1..10).contains(&unknown.len()), "{page}");
    for line in unknown {
        let who = (&line["caller"], &line["status"]);
        assert_eq!(
            who,
            (&json!("unknown"), &json!(401)),
            "an allowed read has no line"
        );
    }
    assert_eq!(of("POST", "/auth/keys").len(), 2);
    assert!(!page.to_string().contains("bh_"), "no key is in the log");
    let (_, next) = admin
        .get(&format!(
            "/audit?after={}",
            page["next"].as_str().expect("next")
        ))
        .await;
    assert_eq!(next["lines"], json!([]));

    // The line about a key was there before its answer, so a kill does not lose it.
    let body = json!({"name": "last", "scopes": ["read"]});
    let last = Guest::with(&admin, body).await.key;
    let host = host.kill_and_restart();
    let (_, page) = Guest::new(&host, &boss).get("/audit?limit=1").await;
    assert_eq!(page["lines"][0]["path"], "/auth/keys", "{page}");
    assert_eq!(Guest::new(&host, &last).get("/datasets").await.0, 200);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn a_team_with_a_public_key_must_sign_what_it_uploads() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let pair = run(&["key", "generate-signing", "--out", &path("acme.pem")]);
    assert!(pair.status.success(), "{}", text(&pair.stderr));
    let public = text(&pair.stdout).trim().to_owned();
    std::fs::write(
        path("boathouse.toml"),
        format!("[auth.teams.acme]\npublic_key = \"{public}\"\n"),
    )
    .expect("written");
    let bytes = b"\0asm\x0d\0\x01\0 and no more".to_vec();
    std::fs::write(path("a.wasm"), &bytes).expect("written");
    let signed = run(&["key", "sign", &path("a.wasm"), "--key", &path("acme.pem")]);
    let signature = text(&signed.stdout).trim().to_owned();
    let host = Host::on(folder.path());
    let upload = async |team: &str, bytes: &[u8], signature: Option<&str>| {
        let url = format!("{}/plugins/scoring/{team}/frugal/versions", host.url);
        let request = reqwest::Client::new().post(url).body(bytes.to_vec());
        let request = match signature {
            Some(signature) => request.header("x-boathouse-signature", signature),
            None => request,
        };
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json::<Value>().await.expect("json"))
    };
    check_problem(
        upload("acme", &bytes, None).await,
        403,
        "signature_missing",
        &["boathouse key sign"],
    );
    check_problem(
        upload("acme", b"other bytes", Some(&signature)).await,
        403,
        "signature_wrong",
        &["acme"],
    );
    check_problem(
        upload("acme", &bytes, Some("AAAA")).await,
        403,
        "signature_wrong",
        &["acme"],
    );
    // Signed, and refused for what it is; another team need not sign.
    for (team, signature) in [("acme", Some(signature.as_str())), ("other", None)] {
        let (status, answer) = upload(team, &bytes, signature).await;
        assert_eq!(
            (status, &answer["code"]),
            (422, &json!("check_failed")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_signed_component_goes_in_and_says_so_where_signatures_are_required() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let pair = run(&["key", "generate-signing", "--out", &path("test.pem")]);
    let public = text(&pair.stdout).trim().to_owned();
    let config = format!(
        "[auth]\nsignatures_required = true\n[auth.teams.test]\npublic_key = \"{public}\"\n"
    );
    std::fs::write(path("boathouse.toml"), config).expect("written");
    std::fs::write(path("marked.wasm"), MARKED_1).expect("written");
    let host = Host::on(folder.path());
    let versions = "/plugins/scoring/test/marked/versions";
    for (path, cure) in [
        (versions, "boathouse key sign"),
        // A team without a key cannot sign, so it cannot upload either.
        ("/plugins/scoring/other/marked/versions", "auth.teams"),
    ] {
        let answer = host.post_raw(path, MARKED_1).await;
        check_problem(answer, 403, "signature_missing", &[cure]);
    }
    let sign = ["key", "sign", &path("marked.wasm"), "--key"];
    let signed = run(&[&sign[..], &[&path("test.pem")]].concat());
    let request = reqwest::Client::new()
        .post(format!("{}{versions}", host.url))
        .header("x-boathouse-signature", text(&signed.stdout).trim())
        .body(MARKED_1);
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let answer: Value = response.json().await.expect("json");
    assert_eq!(status, 201, "{answer}");
    let plugin = host.read("/plugins/scoring/test/marked").await;
    assert_eq!(plugin["versions"][0]["signed"], true, "{plugin}");
}

#[tokio::test]
async fn a_web_page_of_another_origin_cannot_use_a_host_without_keys() {
    let host = Host::fresh();
    let client = reqwest::Client::new();
    let ask = async |name: &str, value: &str| {
        let request = client
            .post(format!("{}/ingest/file?dataset=x&format=csv", host.url))
            .header(name, value)
            .body("a\n1\n");
        let response = request.send().await.expect("an answer");
        (
            response.status().as_u16(),
            response.json::<Value>().await.expect("json"),
        )
    };
    for (name, value) in [("origin", "https://evil.example"), ("host", "evil.example")] {
        check_problem(
            ask(name, value).await,
            403,
            "foreign_origin",
            &["key create"],
        );
    }
    assert_eq!(ask("origin", &host.url).await.0, 202);
}
