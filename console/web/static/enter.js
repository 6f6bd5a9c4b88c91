/** The entrance: hands the typed key over, and goes in. */

const field = document.getElementById("token");
const refused = document.getElementById("refused");
document.getElementById("enter").addEventListener("submit", async (event) => {
  event.preventDefault();
  const token = field.value.trim();
  refused.textContent = token ? "" : "Type the key first.";
  if (!token) return field.focus();
  try {
    const answer = await fetch("/enter", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token }),
    });
    if (answer.ok) return location.replace("/");
    const said = await answer.json().catch(() => ({}));
    refused.textContent = said.error || "That is not this rig's key.";
  } catch {
    refused.textContent = "The rig does not answer. Is this phone on its network?";
  }
  field.select();
});
