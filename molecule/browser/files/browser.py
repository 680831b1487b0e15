"""Use Trac as a person does, with Chromium.

Arguments: the URL of Trac; a directory for screenshots. Logs in, makes a ticket with an attachment,
looks at all kinds of pages in English and in another language, and logs out. Fails when a page does
not show what it should, when it is refused, or when the browser's console has anything to say.
"""

import pathlib
import re
import sys

from playwright.sync_api import Browser, Page, Response, expect, sync_playwright

NAME, PASSWORD = "anna", "anna's secret"
PAGES = (
    *("/wiki/TracGuide", "/wiki/TracSyntaxColoring", "/wiki/WikiStart?action=edit", "/about"),
    *("/timeline", "/roadmap", "/report", "/report/1", "/query", "/search?q=door"),
    *("/prefs", "/prefs/localization", "/admin", "/admin/general/perm", "/admin/ticket/milestones"),
)
# A page with a script and a picture in it, that somebody wants others to open.
ATTACHMENT = b"<script>document.title = 'evil'</script><p>The door"


class Visit:
    """A browser's window at a site, and what is wrong with what it is sent."""

    def __init__(self, browser: Browser, url: str, directory: pathlib.Path, locale: str) -> None:
        self.url, self.directory, self.locale = url, directory, locale
        self.wrong: list[str] = []
        context = browser.new_context(
            http_credentials={"username": NAME, "password": PASSWORD},
            ignore_https_errors=True,
            locale=locale,
            viewport={"width": 1100, "height": 800},
        )
        self.page: Page = context.new_page()
        self.page.on("console", lambda message: self._say(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self._say(str(error)))
        self.page.on("response", self._response)

    def _say(self, what: str) -> None:
        self.wrong.append(f"{self.locale} {self.page.url}: {what}")

    def _response(self, response: Response) -> None:
        headers = response.headers
        if response.status >= 400:
            self._say(f"{response.status} for {response.url}")
        for name in ("content-security-policy", "strict-transport-security"):
            if response.status == 200 and name not in headers:
                self._say(f"no {name} with {response.url}")

    def open(self, path: str) -> None:
        self.page.goto(self.url + path, wait_until="networkidle")

    def keep(self, name: str) -> None:
        self.page.screenshot(path=self.directory / f"{name}.png")

    def log_in(self) -> None:
        self.open("/wiki")
        self.page.click("#metanav a[href$='/login']")
        expect(self.page.locator("#metanav")).to_contain_text(NAME)

    def log_out(self) -> None:
        self.page.click("#metanav form#logout [type=submit]")
        expect(self.page.locator("#metanav")).not_to_contain_text(NAME)
        self.open("/wiki")
        expect(self.page.locator("#metanav a[href$='/login']")).to_be_visible()

    def make_ticket(self) -> str:
        """Make a ticket with an attachment, and return its number."""
        page = self.page
        self.open("/newticket")
        page.fill("#field-summary", "The shop's door squeaks")
        page.fill("#field-description", "Oil it, '''today'''.\n\n{{{#!python\nprint('squeak')\n}}}")
        page.check("input[name=attachment]")
        self.keep("new-ticket")
        page.click("input[name=submit]")
        page.set_input_files(
            "input[type=file]",
            {"name": "door.html", "mimeType": "text/html", "buffer": ATTACHMENT},
        )
        page.fill("input[name=description]", "As it is now")
        page.click("#attachment [type=submit]")
        page.click("text=Back to Ticket")
        page.wait_for_load_state("networkidle")
        (number,) = re.findall(r"/ticket/([0-9]+)$", page.url)
        expect(page.locator("#ticket")).to_contain_text("The shop's door squeaks")
        expect(page.locator("#ticket .description")).to_contain_text("print('squeak')")
        page.click("#attachments .foldable a")
        expect(page.locator("#attachments a:text('door.html')").first).to_be_visible()
        page.evaluate("window.scrollTo(0, 0)")
        self.keep("ticket")
        return str(number)

    def open_attachment(self, number: str) -> None:
        """It is shown as text, and saved as a file, but never run."""
        page = self.page
        self.open(f"/attachment/ticket/{number}/door.html")
        expect(page.locator("#content")).to_contain_text("The door")
        assert page.title() != "evil", page.title()
        with page.expect_download() as download:
            page.click("a[href*='/raw-attachment/'] >> nth=0")
        saved = download.value.path().read_bytes()
        assert saved == ATTACHMENT, saved

    def use_scripts(self, number: str) -> None:
        """What Trac's own scripts do: another filter, a date from a calendar, a preview."""
        page = self.page
        self.open("/query")
        page.select_option("#add_filter_0", "reporter")
        expect(page.locator("input[name='0_reporter']")).to_be_visible()
        self.open("/admin/ticket/milestones")
        page.click("input[name=duedate]")
        expect(page.locator("#ui-datepicker-div")).to_be_visible()
        self.open(f"/ticket/{number}")
        page.fill("#comment", "It is ''done''.")
        expect(page.locator("#ticketchange em, #ticketchange i")).to_have_text("done")


def main() -> int:
    url, directory = sys.argv[1].rstrip("/"), pathlib.Path(sys.argv[2])
    wrong: list[str] = []
    with sync_playwright() as playwright:
        # The account root has no sandbox of the browser's.
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        english = Visit(browser, url, directory, "en-US")
        english.log_in()
        number = english.make_ticket()
        english.open_attachment(number)
        # Trac makes functions from text for other languages than English.
        german = Visit(browser, url, directory, "de-DE")
        german.log_in()
        expect(german.page.locator("#metanav")).to_contain_text("Abmelden")
        for visit in (english, german):
            for path in PAGES:
                visit.open(path)
            visit.use_scripts(number)
            visit.log_out()
            wrong += visit.wrong
        browser.close()
    print(f"{2 * len(PAGES)} pages and a ticket, {len(wrong)} things wrong", *wrong, sep="\n")
    return 1 if wrong else 0


sys.exit(main())
