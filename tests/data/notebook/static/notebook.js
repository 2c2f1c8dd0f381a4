async function send(method, path, body) {
  const token = document.querySelector("meta[name=csrf-token]").content;
  const headers = { "Content-Type": "application/json", "X-CSRFToken": token };
  const response = await fetch(path, { method, headers, body: JSON.stringify(body) });
  return response.json();
}
