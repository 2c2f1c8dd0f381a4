/** The licences of the libraries that the page contains. */
export function LicensesView() {
  const text = document.getElementById("licenses")?.textContent;
  return (
    <>
      <div class="title">
        <h1>Licences</h1>
        <p class="dim">This page contains these libraries.</p>
      </div>
      <pre class="licenses">{text ? (JSON.parse(text) as string) : ""}</pre>
    </>
  );
}
