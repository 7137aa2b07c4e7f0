//! The frontend as its users see it: a page of the deployment that the domain leads to, and what that proxies to the backend.

use serde_json::json;

use super::{Deployment, Vercel};
use crate::world::http::Answer;

impl Vercel {
    /// The deployment that users of the first project get.
    pub fn serving(&self) -> Option<&Deployment> {
        let project = self.projects.first()?;
        let number = project.deployment(project.production.as_deref()?)?;
        Some(&project.deployments[number])
    }

    /// What somebody gets who opens the domain of the first project.
    pub fn app(&self, method: &str, path: &str) -> Answer {
        let Some(one) = self.serving() else {
            return page(404, "<h1>404: NOT_FOUND</h1>").header("X-Vercel-Error", "DEPLOYMENT_NOT_FOUND");
        };
        let api = one.with.get("NEXT_PUBLIC_API_URL").cloned().unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        let answer = match (method, path) {
            ("GET" | "HEAD", "" | "/") if one.works => {
                // Baked in, as everything public is.
                page(200, &format!("<html><script>api = {}</script><h1>Shop</h1></html>", json!(api)))
            }
            ("GET" | "HEAD", "" | "/") => page(500, "<h1>Application error: a server-side exception has occurred</h1>"),
            ("GET", "/api/health") if one.works && api == self.backend => Answer::json(200, r#"{"status":"healthy"}"#),
            ("GET", "/api/health") => Answer::json(502, r#"{"error":"the backend does not answer"}"#),
            _ => page(404, "<h1>404: This page could not be found</h1>"),
        };
        answer.header("X-Vercel-Id", format!("fra1::{}", one.id))
    }
}

fn page(status: u16, body: &str) -> Answer {
    let headers = vec![("Content-Type".to_owned(), "text/html; charset=utf-8".to_owned())];
    Answer { status, headers, body: body.to_owned() }
}
