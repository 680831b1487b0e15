"""What visitors of the sites see, with and without logins; says all that is wrong.

visitors.py USERS: the users of password files, as JSON, with their passwords.
"""

import base64
import json
import subprocess
import sys

from browser import Browser

BASE = "http://127.0.0.1"
ATTACHMENT = "The text of the attachment of "
wrong = []


def see(what, seen, expected):
    if seen != expected:
        wrong.append(f"{what}: {seen!r}, expected {expected!r}")


def leaks(text):
    return [word for word in ("Shut Project", "Team Project", ATTACHMENT) if word in text]


def login_and_out(mount, name, password):
    """Log in where only the login is asked for; everywhere else Trac's own cookie counts."""
    browser = Browser(BASE, name, password)
    page = browser.open(f"{mount}/login")
    see(f"{mount}/login of {name}", page.status, 200)
    browser.headers.pop("Authorization")
    see(f"{mount} after the login", browser.open(f"{mount}/wiki").user, name)
    browser.open(f"{mount}/logout", {"__FORM_TOKEN": browser.token()})
    see(f"{mount} after logging out", browser.open(f"{mount}/wiki").user, "")


def refused(path, name, password):
    page = Browser(BASE, name, password).open(path)
    see(f"{path} of {name}", (page.status, leaks(page.text)), (401, []))


def everywhere(mount):
    """Paths of an environment, each with something that not everybody may see."""
    return [
        mount,
        f"{mount}/",
        f"{mount}/wiki",
        f"{mount}/timeline?format=rss",
        f"{mount}/report/1?format=rss",
        f"{mount}/query?format=rss",
        f"{mount}/attachment/wiki/WikiStart/a.txt",
        f"{mount}/raw-attachment/wiki/WikiStart/a.txt",
        f"{mount}/zip-attachment/wiki/WikiStart/",
        f"{mount}/search?q=text",
        f"{mount}/chrome/common/css/trac.css",
        f"{mount}/chrome/site/a.txt",
        f"{mount}/login",
        f"{mount}/nothing",
        f"/{mount}//wiki",
        f"{mount[:-1]}%{ord(mount[-1]):x}/wiki",
        f"{mount}/./wiki",
        f"{mount}/x/../wiki",
    ]


def private(mount, name, password, readable=True):
    for path in everywhere(mount):
        for fields in (None, {"a": "b"}):
            page = Browser(BASE).open(path, fields)
            see(f"{path} without a login", (page.status, leaks(page.text)), (401, []))
        if readable:
            page = Browser(BASE, name, password).open(path)
            see(f"{path} of {name} is there", page.status in (200, 403, 404), True)
    if readable:
        path = f"{mount}/raw-attachment/wiki/WikiStart/a.txt"
        page = Browser(BASE, name, password).open(path)
        see(path, ATTACHMENT in page.text, True)
        see(f"{mount} of {name}", Browser(BASE, name, password).open(f"{mount}/wiki").user, name)
        page = Browser(BASE, name, password).open(f"{mount}/logout", {"a": "b"})
        see(f"{mount}/logout", (page.status, "You are logged out" in page.text), (401, True))


def digest(path, name=None, password=""):
    """The status, and the page: curl's, as Python knows only ASCII there."""
    login = f"{name}:{password}".replace("\\", "\\\\").replace('"', '\\"')
    options = f'url = "{BASE}{path}"\n' + (f'digest\nuser = "{login}"\n' if name else "")
    command = ["curl", "--silent", "--config", "-", "--write-out", "\n%{http_code}"]
    result = subprocess.run(command, input=options.encode(), stdout=subprocess.PIPE, check=True)
    text, _newline, status = result.stdout.decode().rpartition("\n")
    return int(status), text


def passwords(users):
    there = [user for user in users if user.get("state") != "absent"]
    for user in there:
        name, password = user["name"], user["password"]
        login_and_out("/projects/open", name, password)
        refused("/projects/open/login", name, "z" + password)
        refused("/projects/open/login", name, "")
        status, text = digest("/digest/raw-attachment/wiki/WikiStart/a.txt", name, password)
        see(f"/digest of {name}", (status, ATTACHMENT in text), (200, True))
        see(f"/digest of {name}, wrong", digest("/digest/wiki", name, password + "z")[0], 401)
        if "developers" not in user.get("groups", []):
            refused("/team/wiki", name, password)
        # What Trac lets groups do, it lets their members do.
        page = Browser(BASE, name, password)
        page.open("/projects/open/login")
        status = page.open("/projects/open/milestone?action=new").status
        see(
            f"a milestone of {name}", status, 200 if "developers" in user.get("groups", []) else 403
        )
    for user in users:
        if user.get("state") == "absent":
            refused("/projects/open/login", user["name"], user["password"])
            see(
                "/digest of one who is gone",
                digest("/digest", user["name"], user["password"])[0],
                401,
            )
    anna = there[0]["name"], there[0]["password"]
    for mount in ("/projects/shut", "/projects/team", "/team"):
        private(mount, *anna)
    for path in everywhere("/digest"):
        see(f"{path} without a login", (digest(path)[0], leaks(digest(path)[1])), (401, []))
    index = Browser(BASE).open("/projects/").text
    see("the index", ("Open Project" in index, leaks(index)), (True, []))
    # Another site below the mount of one that is private.
    see(
        "a site below", Browser(BASE).open("/projects/shut/public/wiki").title[-12:], "Open Project"
    )
    header = Browser(BASE).open("/projects/open/login").headers["WWW-Authenticate"]
    realm = 'Basic realm="It\'s 100% <b>ünï</b> {{ x }} #1"'
    see("the realm", header.encode("latin-1").decode("utf-8"), realm)


def ldap(users):
    login_and_out("/ldap", "lara", "lara's secret")
    login_and_out("/ldap", users[0]["name"], users[0]["password"])
    refused("/ldap/login", "lara", "wrong")
    refused("/ldap/login", "lar*", "lara's secret")
    refused("/ldap/login", "lara", "")
    # Whatever way somebody writes the name, Trac gets the one of the directory.
    browser = Browser(BASE, "LARA", "lara's secret")
    browser.open("/ldap/login")
    see("LARA", browser.open("/ldap/wiki").user, "lara")
    private("/ldap-team", "lara", "lara's secret")
    refused("/ldap-team/wiki", "lars", "lars's secret")
    refused("/ldap-team/wiki", users[0]["name"], users[0]["password"])


def at_provider(path, name, password):
    """The browser, and where it is, after a login at the provider."""
    browser = Browser(BASE)
    page = browser.open(path)
    see(f"{path} leads to the provider", page.title, "Provider")
    fields = {**page.inputs(), "username": name, "password": password}
    return browser, browser.open(page.url, fields)


def openid_connect():
    see("/openid for everybody", Browser(BASE).open("/openid/wiki").user, "")
    _browser, page = at_provider("/openid/login", "olga", "wrong")
    see("a wrong password at the provider", page.title, "Provider")
    browser, page = at_provider("/openid/login", "olga", "olga's secret")
    see("/openid/login of olga", (page.status, page.user), (200, "olga"))
    session = [cookie for cookie in browser.jar if "openidc" in cookie.name]
    see("a session of the module", len(session), 1)
    page = browser.open("/openid/logout", {"__FORM_TOKEN": browser.token()})
    see("logging out leads to the provider", "/end-session" in page.url, True)
    see("/openid after logging out", browser.open("/openid/wiki").user, "")
    see("the module's session", [each for each in browser.jar if "openidc" in each.name], [])

    for path in everywhere("/openid-team"):
        browser = Browser(BASE, follow=False)
        page = browser.open(path)
        leads = page.headers.get("Location", "").startswith("http://127.0.0.1:8090/authorize?")
        see(f"{path} without a login", (page.status, leads, leaks(page.text)), (302, True, []))
        browser.headers["Accept"] = "application/json"
        page = browser.open(path)
        see(f"{path} for a program", (page.status, leaks(page.text)), (401, []))
    path = "/openid-team/raw-attachment/wiki/WikiStart/a.txt"
    _browser, page = at_provider(path, "olga", "olga's secret")
    see(path, ATTACHMENT in page.text, True)
    _browser, page = at_provider(path, "otto", "otto's secret")
    see(f"{path} of otto", (page.status, leaks(page.text)), (401, []))


def main():
    users = json.loads(base64.b64decode(sys.argv[1]))
    passwords(users)
    ldap(users)
    openid_connect()
    if wrong:
        sys.exit("\n".join(wrong))


main()
