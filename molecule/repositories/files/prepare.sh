#!/bin/sh
# What anna has had for years: a git repository with a hook, a Subversion repository with merges.
set -eu
cd "$(mktemp -d)"

git init --quiet --bare --initial-branch=main /srv/git/old.git
# shellcheck disable=SC2016  # for the hook to expand
printf '#!/bin/sh\ntouch "$GIT_DIR/hook-of-anna-ran"\n' > /srv/git/old.git/hooks/post-receive
chmod +x /srv/git/old.git/hooks/post-receive
git clone --quiet /srv/git/old.git old-git
git -C old-git -c user.name=Anna -c user.email=anna@example.org commit --quiet --allow-empty --message 'old in git'
git -C old-git push --quiet origin HEAD:main

svnadmin create /srv/svn/old
svn mkdir --quiet --message 'old in svn' file:///srv/svn/old/trunk file:///srv/svn/old/branches
svn checkout --quiet file:///srv/svn/old working
cd working
echo one > trunk/file
svn add --quiet trunk/file
svn commit --quiet --message 'a file'
svn copy --quiet --message 'a branch' ^/trunk ^/branches/b
svn update --quiet
echo two >> branches/b/file
svn commit --quiet --message 'work on the branch'
svn update --quiet
svn merge --quiet --accept postpone ^/branches/b trunk
svn commit --quiet --message 'merged the branch'
