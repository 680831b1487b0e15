"""A provider of OpenID Connect: django-oidc-provider with two users, in one file.

provider.py STATE PORT FILE_WITH_CLIENT_SECRET REDIRECT_URI...
"""

import os
import pathlib
import sys
import wsgiref.simple_server

import django
from django.conf import settings
from django.core.management import call_command
from django.urls import include, path

_LOGIN = """<title>Provider</title>
<form method="post">{% csrf_token %}{{ form }}
<input type="hidden" name="next" value="{{ next }}"></form>"""


def userinfo(claims, user):
    """The claims about a user."""
    claims["preferred_username"] = user.username
    return claims


def add_groups(id_token, user, **_more):
    """The claims in the token: those that mod_auth_openidc authorizes by."""
    id_token["preferred_username"] = user.username
    id_token["groups"] = [group.name for group in user.groups.all()]
    return id_token


def configure(state):
    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY=os.urandom(32).hex(),
        ROOT_URLCONF=__name__,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{state}/provider.db"}
        },
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "oidc_provider",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                    ],
                    "loaders": [
                        (
                            "django.template.loaders.locmem.Loader",
                            {"registration/login.html": _LOGIN},
                        ),
                        "django.template.loaders.app_directories.Loader",
                    ],
                },
            }
        ],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.PBKDF2PasswordHasher"],
        LOGIN_URL="/accounts/login/",
        OIDC_USERINFO=f"{__name__}.userinfo",
        OIDC_IDTOKEN_PROCESSING_HOOK=f"{__name__}.add_groups",
    )


def fill(secret, redirect_uris):
    """The users, and the client that Apache is."""
    from django.contrib.auth.models import Group, User
    from oidc_provider.models import Client, ResponseType

    call_command("migrate", verbosity=0)
    call_command("creatersakey", verbosity=0)
    developers = Group.objects.create(name="developers")
    User.objects.create_user("olga", password="olga's secret").groups.add(developers)
    User.objects.create_user("otto", password="otto's secret")
    client = Client(name="Trac", client_id="trac", client_secret=secret, require_consent=False)
    client.redirect_uris = redirect_uris
    client.save()
    client.response_types.add(ResponseType.objects.get(value="code"))


urlpatterns = []


def main(state, port, secret_file, *redirect_uris):
    configure(state)
    django.setup()
    urlpatterns.extend(
        [
            path("accounts/", include("django.contrib.auth.urls")),
            path("", include("oidc_provider.urls", namespace="oidc_provider")),
        ]
    )
    fill(pathlib.Path(secret_file).read_text(), redirect_uris)
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()
    wsgiref.simple_server.make_server("127.0.0.1", int(port), application).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
