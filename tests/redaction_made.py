"""Made-up values that redaction must find, and what only looks like one: by kind, each in a sentence. Nothing here is anybody's.

A row is a sentence with the value between `‹` and `›`. Keys and numbers with check digits are made from a seed; their shapes are
written down here anew, by the issuers' public descriptions, so that the product's own patterns do not judge themselves.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

LOWER, UPPER, DIGITS = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
ALPHABETS = {
    "x": "0123456789abcdef", "X": "0123456789ABCDEF", "a": LOWER + DIGITS, "A": UPPER + DIGITS, "n": LOWER + UPPER + DIGITS, "w": LOWER + UPPER + DIGITS + "-_",
    "l": LOWER + UPPER, "d": DIGITS, "b": UPPER + "234567", "q": "02346789acdefghjklmnpqrstuvwxyz",
}  # fmt: skip
# What a key begins with, then alphabets and lengths of what follows.
KEYS = """
sk- n48|sk-proj- w74|sk-svcacct- w74|sk-admin- w60|sk-ant-api03- w93 AA|sk-ant-admin01- w93 AA|sk-or-v1- x64|gsk_ n52|xai- n80|nvapi- w64|pplx- n48|r8_ n37|hf_ l34|api_org_ l34|AIzaSy w33
tvly-dev- n32|jina_ x32 n27|fw_ n24|csk- a48|pcsk_ n70|lsv2_pt_ x32 _ x10|lsv2_sk_ x32 _ x10|tgp_v1_ w43|llx- n48|esecret_ a24|apify_api_ n36|e2b_ x40|rpa_ A38|fc- x32|pa- w43|sk_ x48|ak- n22
AKIA b16|ASIA b16|AROA b16|ABIA b16|A3TX b16|amzn.mws. x8 - x4 - x4 - x4 - x12|LTAI n20|AKID n32|AKLT n44|ops_eyJ n250|A3- A6 - A11 - A5 - A5 - A5|p8e- a32|pat n14 . x64|AKCp n69|cmVmdGtu n56
ATATT3 w186|ATCTT3 w186|ATBB n32|bkua_ x40|xkeysib- x64 - n16|xsmtpsib- x64 - n16|CCIPAT_ n22 _ x40|CLOJARS_ a60|v1.0- x24 - x146|CFPAT- w43|dapi x32|dapi x32 -2|dnkey- a26 - a52|dop_v1_ x64|doo_v1_ x64|dor_v1_ x64
mfa. w84|dckr_pat_ w27|dckr_oat_ w32|dp.pt. n43|dp.st.dev. n43|sl. w136|duffel_test_ w43|dt0c01. A24 . A64|EZAK n54|EZTK n54|figd_ w40|FLWSECK- x32 -X|FLWPUBK_TEST- x32 -X|fo1_ w43|fm2_ n120|fio-u- w64
ghp_ n36|gho_ n36|ghu_ n36|ghs_ n36|ghr_ n36|github_pat_ n22 _ n59|glpat- w20|glptt- x40|gldt- w20|glrt- w20|glcbt-64_ w20|glft- w20|glsoat- w20|glagent- w50|gloas- x64|GR1348941 w20|ya29. w120|GOCSPX- w28|1//0 w60
glsa_ n32 _ x8|glc_ n48|pat. w22 . x24 . n20|HRKU-AA w58|pat-na1- x8 - x4 - x4 - x4 - x12|pat-eu1- x8 - x4 - x4 - x4 - x12|ico- n32|IGQV w120|sk-lf- x8 - x4 - x4 - x4 - x12|pk-lf- x8 - x4 - x4 - x4 - x12|api- x8 - x4 - x4 - x4 - x12|sdk- x8 - x4 - x4 - x4 - x12
lin_api_ n40|live_ x35|key- x32|pubkey- x32|pk.eyJ n60 . n22|sk.eyJ n60 . n22|Mid-server- w24|mdb_sa_sk_ n40|napi_ a64|nfp_ n36|NRAK- A27|NRJS- x19|NRII- w32|ntn_ n46|secret_ n43|npm_ n36|oy2 a43|API- A26|sess- n40|sha256~ w43
ovsxp_ x8 - x4 - x4 - x4 - x12|access_token$production$ a16 $ x32|access-sandbox- x8 - x4 - x4 - x4 - x12|pscale_tkn_ w43|pscale_pw_ w43|PMAK- x24 - x34|phc_ n43|phx_ n43|pnu_ a36|pul- x40|pypi-AgEIcHlwaS5vcmc w70|rzp_live_ n14|rdme_ a70
rnd_ n32|re_ n8 _ n24|rubygems_ x48|tk-us- w48|SG. w22 . w43|sntrys_eyJ n100|sntryu_ x64|shippo_live_ x40|shpat_ x32|shpss_ x32|xoxb- d12 - d12 - n24|xoxp- d12 - d12 - d12 - x32|xapp-1-A A10 - d13 - x64|xoxe.xoxp-1- n146|sqp_ x40|squ_ x40
sgp_ x16 _ x40|sq0atp- w22|sq0csp- w43|EAAA w60|sk_live_ n24|sk_test_ n99|rk_live_ n24|whsec_ n32|sbp_ x40|sb_secret_ w31|tskey-auth- n12 - n32|tskey-api- n12 - n32|AC x32|SK x32|tfp_ w44 _ w14|hvs. w90|hvb. w120|hvr. w90|vcp_ n56|AQVN w36
s-s4t2ud- x64|d10 : w35|eyJhbGciOiJIUzI1NiJ9.eyJ n40 . w43|M n23 . w6 . w38|x32 -us21|n14 .atlasv1. w64|n3 8Q~ n34|n20 T3BlbkFJ n20|EAAC n160|AAAAAAAAAAAAAAAAAAAAA n90|gAAAAA w100 ==|AVNS_ w19|polar_oat_ n43|AGE-SECRET-KEY-1 A58
"""
PASSWORDS = """
postgres://admin:‹{p}›@db.example.com:5432/shop|mysql://root:‹{p}›@10.1.2.3/app|mongodb+srv://svc:‹{p}›@c0.abcde.mongodb.net/prod|redis://:‹{p}›@cache.internal:6379/0|amqps://mq:‹{p}›@rabbit:5671/|ftp://bob:‹{p}›@files.example.org/
ldap://cn:‹{p}›@ldap.corp:389|mssql+pyodbc://sa:‹{p}›@db1/x|ssh://git:‹{p}›@host/repo.git|clickhouse://u:‹{p}›@ch:9000|nats://u:‹{p}›@nats:4222|rtsp://cam:‹{p}›@192.168.1.7/live|socks5://u:‹{p}›@proxy:1080|https://bob:‹{p}›@git.example.com/x.git
curl -u alice:‹{p}› https://api.example.com|curl --user alice:‹{p}› -X POST https://x.example|curl -s -u 'alice:‹{p}›' https://x.example|mysql -u root -p‹{p}› shop|mysqldump -h db -uroot -p'‹{p}›' shop|sshpass -p '‹{p}›' ssh me@host|sshpass -p ‹{p}› scp a b
docker login -u me -p ‹{p}› registry.example|tool --password ‹{p}› run|tool --password=‹{p}› run|psql "host=db user=x password=‹{p}› dbname=y"|Server=tcp:db1;User Id=sa;Password=‹{p}›;Encrypt=True|Uid=customer;Pwd=‹{p}›;|jdbc:mysql://db/app?user=root&password=‹{p}›
PGPASSWORD=‹{p}› psql|export DB_PASSWORD="‹{p}›"|MYSQL_ROOT_PASSWORD: ‹{p}›|spring.datasource.password=‹{p}›|"password": "‹{p}›"|'passwd': '‹{p}›'|userPassword = "‹{p}›";|<password>‹{p}›</password>|CREATE USER a IDENTIFIED BY '‹{p}›'|machine x.example login me password ‹{p}›
my password is ‹{p}› ok|My password is: ‹{p}›|The password for the wifi is ‹{p}›|password: ‹{p}›|Passwort: ‹{p}›|mein Passwort ist ‹{p}›|mon mot de passe est ‹{p}›|mot de passe : ‹{p}›|mi contraseña es ‹{p}›|contraseña: ‹{p}›|minha senha é ‹{p}›|senha: ‹{p}›
la mia password è ‹{p}›|mijn wachtwoord is ‹{p}›|moje hasło to ‹{p}›|hasło: ‹{p}›|мой пароль ‹{p}›|Пароль: ‹{p}›|мій пароль: ‹{p}›|şifrem: ‹{p}›|heslo: ‹{p}›|jelszó: ‹{p}›|lösenord: ‹{p}›|mitt passord er ‹{p}›|kata sandi saya adalah ‹{p}›|mật khẩu là ‹{p}›
我的密码是‹{p}›|密码：‹{p}›|パスワードは‹{p}›です|비밀번호: ‹{p}›|كلمة المرور: ‹{p}›|पासवर्ड: ‹{p}›|my pin is ‹4821›|api_key = "‹{p}›"|client_secret: ‹{p}›|"accessToken": "‹{p}›"|SECRET_KEY='‹{p}›'|passphrase: ‹{p}›|AccountKey=‹{b}›;|my key is ‹{h}›
Authorization: Bearer ‹{b}›|Authorization: Basic ‹{b}›|-H "Authorization: Token ‹{h}›"|'Authorization': 'ApiKey ‹{b}›'|X-Api-Key: ‹{h}›|x-auth-token: ‹{h}›|Cookie: ‹sid={h}; theme=dark›|Set-Cookie: ‹session={b}; Path=/; HttpOnly›|Ocp-Apim-Subscription-Key: ‹{h}›|PHPSESSID=‹{h}›
"""
BLOCKS = (
    "‹-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----›",
    "‹-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBGExample\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----›",
    "‹-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIExample›",
    "‹PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: x\nPublic-Lines: 1\nAAAA\nPrivate-Lines: 1\nBBBB\nPrivate-MAC: 0a1b2c3d›",
    "‹---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nP2/56wAAAi\n---- END SSH2 ENCRYPTED PRIVATE KEY ----›",
)
PERSONAL = {
    "email": "Write to ‹a.b+c@mail.example.co.uk›|‹JANE_DOE@Example.ORG›|<‹j.d@x-y.example.com›>|mail‹ño@ejemplo.es›|‹d'arcy@example.ie›, please|‹jane (at) example.com›|‹jane [at] example [dot] org›|‹jane AT example DOT com›|‹u123@xn--bcher-kva.example›|ssh ‹me@host.example.com›"
    "|mailto:‹jane@example.museum›?subject=x|‹first.last@sub.dept.example.edu›|‹x@example.io› (work)|contact=‹x9@example.dev›;|‹sales@firma.example.de›/‹info@firma.example.de›",
    "phone": "‹+1 289 598 0374›|‹336-917-8345›|‹763.420.4744›|‹(415) 555-0132›|‹(415)555-0132›|‹+49 30 1234 5678›|‹+49(0)30/1234567›|‹+44 (0)20 7946 0958›|‹030 98765432›|‹+33 6 12 34 56 78›|‹06 12 34 56 78›|‹0171/2345678›|‹0171-2345678›|‹07700 900123›|‹020 7946 0958›|‹+91 98765 43210›"
    "|call me: ‹98765 43210›|Ruf mich unter ‹0171 2345678› an|My number is ‹07700900123›|Mi móvil es ‹612 345 678›|WhatsApp ‹(11) 91234-5678›|‹(11) 91234-5678›|Zadzwoń: ‹601 234 567›|Мой номер ‹8 (912) 345-67-89›|‹8-912-345-67-89›|電話は ‹090-1234-5678› です|‹010-1234-5678›|Il mio cellulare: ‹333 1234567›"
    "|reach me on ‹5551234567›|Telefonum ‹0532 123 45 67›|‹٠١٢٣٤٥٦٧٨٩› هاتف|Mobil: ‹０７０−１２３４５６７›|t: ‹+1.415.555.0132›|我的手机‹13812345678›|手机号：‹138 1234 5678›|tel ‹9472 7916›|fax: ‹(02) 9374 4000›|‹0412 345 678›|‹+61 412 345 678›|‹+86 138 1234 5678›|‹+7 912 345-67-89›|‹+34 612 345 678›"
    "|‹+55 11 91234-5678›|‹+81 90-1234-5678›|‹+82 10-1234-5678›|‹+39 333 123 4567›|‹+31 6 12345678›|‹06-12345678›|‹+48 601 234 567›|‹+90 532 123 45 67›|‹0812-3456-7890›|‹+62 812-3456-7890›|‹+972 50-123-4567›|‹050-1234567›|‹+1 (415) 555-0132 x23›|‹1-800-555-0199›|‹0049 30 1234567›|ring ‹555-0132›"
    "|appelle le ‹0612345678›|chiamami al ‹3331234567›|meu telefone: ‹11912345678›|mobilnummer ‹070-123 45 67›|puhelin ‹040 1234567›|+tel:‹+14155550132›",
    "card": "card ‹4510 2671 2457 7503›|‹4111-1111-1111-1111›|‹5500005555555559›|‹378282246310005›|‹3782 822463 10005›|‹2221000000000009›|‹2223 0031 2200 3222›|‹6011 1111 1111 1117›|‹3530 1113 3330 0000›|‹30569309025904›|‹6200 0000 0000 0005›|‹4111.1111.1111.1111›|Charged 2026 ‹4111 1111 1111 1111› twice|‹4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1›|No. ‹４１１１１１１１１１１１１１１１›"
    "|‹4111  1111  1111  1111›|‹5105105105105100›|visa: ‹4222222222222›|‹4000 0566 5566 5556›|‹6759 6498 2643 8453›",
    "ip": "from ‹51.101.99.206› today|client=‹81.2.69.142›; x|(‹81.2.69.160›:51443)|‹2001:db8:85a3::8a2e:370:7334›|‹fe80::1c2b:3aff:fe4d:5e6f›|router shows ‹93.184.216.34›|ping ‹172.217.4.5›|ssh root@‹185.12.64.7›|IP: ‹5.6.7.8›|‹::ffff:81.2.69.142›|host ‹46.4.12.99›, port 22|‹2a02:8109:9a40:1b2c:d4e5:f607:1829:3a4b›",
    "mac": "MAC ‹00:1A:2B:3C:4D:5E›|‹a4-5e-60-c1-d2-e3›|‹001a.2b3c.4d5e›|ether ‹f0:18:98:2b:33:9c› up|‹00:11:22:33:44:55›|BSSID ‹DC-A6-32-0F-9B-7E›|‹3c:22:fb:aa:bb:cc›/24|hwaddr=‹52:54:00:12:34:5b›",
    "wallet": "‹0x52908400098527886E0F7030069857D2E4169EE7›|‹1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa›|‹3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy›|‹bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq›|‹TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t›|‹rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh›|‹DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L›"
    "|to ‹0xde709f2102306220921060314715629080e2fb77›.|‹LM2WMpR1Rp6j3Sa59cMXMs1SPzj9eXpGc1›",
    "url": "see ‹https://www.chen-murphy.com/5579›.|(‹http://example.com/a?token=1#x›)|‹www.example.com/path›|‹ftp://files.example.org/a.zip›|‹wss://chat.example.net/s?id=7›|‹HTTPS://EXAMPLE.COM/X›",
    "ssn": "‹499-69-5814›|my ssn ‹499695814› ok|SSN: ‹499 69 5814›|social security number ‹531-22-8841›",
    "id": "DNI ‹12345678Z›|NIE ‹X1234567L›|‹RSSMRA85T10A562S›|NIR ‹1 85 05 78 006 084 91›|‹185057800608491›|PESEL ‹44051401359›|CPF ‹111.444.777-35›|CNPJ ‹11.222.333/0001-81›|‹11010519491231002X›|Aadhaar ‹2341 2341 2346›|PAN ‹ABCPE1234F›|‹811218-9876›|‹131052-308T›|NHS number ‹943 476 5919›|BSN ‹111222333›|‹85.07.30-033.28›"
    "|AHV ‹756.9217.0769.85›|SVNR ‹1237 010180›|NIF ‹123456789›|TFN ‹123 456 782›|SIN ‹130 692 544›|‹8001015009087›|‹900101-1234567›|マイナンバー ‹123456789018›|NRIC ‹S1234567D›|‹A123456(3)›|‹A123456789›|TC kimlik ‹10000000146›|RUT ‹12.345.678-5›|СНИЛС ‹112-233-445 95›|CNP ‹1800101221144›|ЕГН ‹7523169263›|‹736028/5163›|OIB ‹33392005961›"
    "|PPS ‹1234567FA›|NI number ‹AB 12 34 56 C›|‹AB123456C›|‹65 170839 J 003›|Steuer-ID ‹86 095 742 719›|passport number ‹912803456›|Passport: ‹C01X00T47›|паспорт ‹45 08 123456›|driver's license number is ‹F162823540116›|my driving licence is ‹MORGA657054SM9IJ›|routing number ‹021000021›|bank account ‹1234 5678 90›|EIN ‹12-3456789›|‹880101-14-5523›|NIP ‹526-025-09-95›",
}  # fmt: skip
# Country and what stands behind the check digits of an IBAN.
IBANS = "DE d18|GB BARC d14|FR d23|ES d20|IT X d22|NL INGB d10|BE d12|CH d17|AT d16|PL d24|PT d21|SE d20|DK d14|NO d11|FI d14|IE AIBK d14|CZ d20|HU d24|RO BTRL d16|TR d22|SA d20|AE d19|IL d19|BR d23 C1"


def made(chance: random.Random, pieces: str) -> str:
    """A value by its pieces: literal words, and alphabets with a length."""
    parts = []
    for piece in pieces.split():
        if piece[0] in ALPHABETS and piece[1:].isdigit() and (len(piece) > 2 or piece[0] in "xanwdAbq"):
            parts.append("".join(chance.choices(ALPHABETS[piece[0]], k=int(piece[1:]) - 1)) + chance.choice(DIGITS if piece[0] not in "lb" else LOWER if piece[0] == "l" else "7"))
        else:
            parts.append(piece)
    return "".join(parts)


def checked(chance: random.Random, country: str, account: str) -> str:
    """An IBAN with right check digits."""
    number = int("".join(str(int(letter, 36)) for letter in account + country + "00"))
    return f"{country}{98 - number % 97:02d}{account}"


def values() -> Iterator[tuple[str, str]]:
    """(kind, sentence with marks around its values)."""
    chance = random.Random(11)  # noqa: S311  values, no secrets
    for pieces in KEYS.replace("\n", "|").strip("|").split("|"):
        yield "key", f"It is ‹{made(chance, pieces)}› as I said."
    for row in PASSWORDS.replace("\n", "|").strip("|").split("|"):
        word = chance.choice(["Tr0ub4dor", "hunter2x", "S3cretRoot", "Wint3r!sC0ming", "P4ss-w0rd"]) + str(chance.randrange(10, 99))
        yield "password", row.format(p=word, b=made(chance, "n40"), h=made(chance, "x40"))
    yield from (("key", block) for block in BLOCKS)
    for kind, rows in PERSONAL.items():
        yield from ((kind, row) for row in rows.split("|"))
    for row in IBANS.split("|"):
        iban = checked(chance, row.split()[0], made(chance, " ".join(row.split()[1:])))
        spaced = " ".join(iban[at : at + 4] for at in range(0, len(iban), 4))
        yield "iban", f"IBAN: ‹{chance.choice([iban, spaced, iban.lower(), spaced.replace(' ', '-')])}›."


LIKE = {
    "keys": "pip install sk-learn-tutorial|the sk-learn-tutorial-2024-with-examples repo|sk-proj-my-great-project-2024-roadmap|task-force-risk-averse-skate-8|pk_users_email_unique_index|re_engineering_2024_plan_final|pa-system-for-large-rooms-with-two-stages-and-4-mics|hf_hub_download and hf_transfer"
    "|npm_config_registry|npm_lifecycle_event_name|git checkout feature/AKIA-docs|SG.UI is a UI kit|the pat.id field|api-v1-users-list|sdk-build-tools-34.0.0|live_stream_2024_01_31|test_redaction_of_values_in_texts|key-value-store-for-everyone|ghp_ is how tokens begin|a token like sk-... or ghp_xxxx"
    "|commit 9fceb02d0ae598e95dc970b74767f19372d61af8|sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08|md5 d41d8cd98f00b204e9800998ecf8427e|id 550e8400-e29b-41d4-a716-446655440000|etag W/\"0815-abcdef\"|model gpt-4o-2024-08-06|claude-3-5-sonnet-20241022|meta-llama/Llama-3.1-8B-Instruct"
    "|Qwen2.5-72B-Instruct-GPTQ-Int4|data:image/png;base64,iVBORw0KGgo=|the AC unit and SK Telecom|EAA is the European Accessibility Act|cio of the firm|xai-explained-for-beginners|groq_api_key goes into .env|class Authorization: pass|the basic requirements2024 of it|bearer of bad news2024|a cookie: sweet and crisp|Cookie: see the policy"
    "|pypi-server on port 8080|figd_ prefix|-----BEGIN PUBLIC KEY-----|-----BEGIN CERTIFICATE-----|ssh-rsa AAAAB3NzaC1yc2E in authorized_keys|the pul-over and pulumi-cli|A3-size paper|v1.0-beta-2|fc-list | grep 2024|oy2 as a name|sl.no|dp.pt = 3|hvs.close()|mfa.enable()|tfp.distributions.Normal(0.0, 1.0)|pk.eyJ is Mapbox"
    "|sess-2024-summer-term-papers|secret_santa_list_2024_final_names|access-control-list-with-42-entries|API-REFERENCE-2024|glc_parameters_2020|rnd_state_42_seed|ntn_news_today_2024_01_31|vcr_cassettes_2023|sbp_blood_pressure_130_over_80|sqa_exam_2024|sgp_singapore_2024|re_findall_1|r8_is_a_register",
    "passwords": "password: required|The password is required|password = os.environ['DB_PASSWORD1']|def f(token: str, password: str = None)|my password is what?|I forgot my password again|password=<your password>|password: ********|PASSWORD=${DB_PASSWORD}|password: $PASSWORD1|reset your password at 10:30|passwords must have 8 characters|password must be at least 12 long"
    "|the token is ERC20|MyERC1155Token is ERC1155|max_tokens: 4096|token: 512|tokens=128000|the key is patience|the key is to be on time|primary key: user_id|foreign key = order_id|key: value|cache_key = page_12|secret of success: work|Das Passwort ist falsch|mon mot de passe est oublié|mi contraseña es incorrecta|пароль неверный|密码是什么|postgres://localhost:5432/app"
    "|postgres://user:password@localhost/app|redis://localhost:6379/0|mongodb://user:pass@localhost|curl -u user:pass http://localhost|curl localhost:8080/users/1|mysql -u root -p shop|sshpass -p password ssh x|docker run -p 8080:80 nginx|docker run -p 5432:5432 postgres|ssh -p 2222 host|mkdir -p src/app2|cp -p a1 b2|tool --password PASSWORD|--api-key YOUR_API_KEY"
    "|api_key = \"YOUR_API_KEY\"|api_key=your_api_key_here|OPENAI_API_KEY=os.getenv('KEY1')|secret = get_secret(name)|password = input('Password: ')|password = getpass.getpass()|passwordField.text|if password == confirm_password:|the api key is invalid|an api key: see the docs|pin the message|pin 13 is the LED|The pin code is wrong|keyboard: qwerty2|monkey: banana|turkey: 2024 results",
    "emails": "Use this@MainActivity.startService(intent)|scores = q@k.transpose(-2, -1)|npm i lodash@4.17.21 react@18.2.0|super@Outer.toString()|docker pull ghcr.io/x/y@sha256:0f1e2d|The decorator @app.route is missing|x@w.shape raises|git@github.com:me/repo.git|A@B.T is symmetric|W@x.T + b|logo@2x.png|icon@3x.webp|return@forEach|self@Foo.bar"
    "|systemctl start getty@tty1.service|postgresql@14-main.service|actions/checkout@v4|vue@3.4.21|@types/node@20.11.5|me @ home|@media (min-width: 600px)|user@|@jane said so|@Override public|foo@bar|a @ b|5 apples @ 1.20 each|meet @ 5.30pm|node@lts|rust@1.75.0|pkg:npm/foo@1.2.3|attn@values.sum(0)|y = a@b.mean()|it@Scope.apply { }|P@ssw0rd-style|x@y[0]|left (at) the door|this is (at) home",
    "ips": "Chrome/120.0.0.0 Safari/537.36|See section 4.2.1.3|pip install foo==1.2.3.4|OpenSSL 1.1.1.1|driver 31.0.15.4601|BIOS 1.20.0.1|resolver 8.8.8.8 or 1.1.1.1|AssemblyVersion(\"2.0.0.1\")|Chapter 10.1.2.1|version 10.0.19041.1|v2.34.56.78|release 3.45.67.89|127.0.0.1|0.0.0.0|255.255.255.0|10.0.1.0/24|192.168.0.0/16|OID 1.3.6.1.4.1.9|1.2.3|999.1.2.3"
    "|Firmware 7.12.88.4|clause 5.1.4.2|§ 3.2.1.1|kernel 5.15.0.91|Edge/121.0.2277.83|foo>=45.12.33.9|step 1.1.2.3|12:30:45|a::b in C++ std::vector::size|std::cout << x::y::z|10:20:30:40|2024.01.31.2|::1|Foo::Bar::baz|9.9.9.9 by Quad9|2001:4860:4860::8888|build 22.4.31.7|update 17.4.33.2",
    "phones": "at 47.3769, 8.5417 on the map|d=\"M 37.6188 101.694 L 100 64.5326\"|doi 10.1038/s41586-020-2649-2|ISBN 978-3-16-148410-0|Latencies were 250 300 1000 1500 ms|hosted-eu-20260812-09|Order 402-118-2260|Ticket 020 7946 0018|Row: 0123 4567 8901 2345|Part number 800-555-0199|3.14159 26535 89793 23846|timeout to 00 10 00 00 00|1914-1918 and 1939-1945"
    "|Score 10-12 11-9 11-8|git show 4345955198|1. e4 e5 2. Nf3 Nc6|1 000 000 000 people|a population of 1 400 000 000|2 000 000 euros|order number 4512367890 of 12.05.2024|invoice 2024-0042-1177|tracking number 336-917-8345|serial no. 415-555-0132|case 2024-11-26-001|flight UA 1234 on March 5th|rated 4/5 by 120 people|2026-01-31 12:30:45|20260131123045"
    "|31.01.2026 12:30|1,299.00 euros|the years 1990-2000 and 2001-2010|12 34 56|1 2 3 4 5 6 7 8 9 10|100 200 300 400 500|10 20 30 40 50 60|0.5 0.25 0.125 0.0625|16.78 - 0.006 * t|1080 1920 2560 1440|192 168 100 200|3 000 000 people called|zip 94103-1234|postcode 10115 Berlin|lines 120-145 and 300-310|pages 1024-1048|0x7fff5fbff8a0|1e-6 2.5e+10"
    "|id=1748503543012|snowflake 1234567890123456789|EAN 4006381333931|UPC 012345678905|[123, 456, 7890, 12345]|model 555-1234-A|SKU 123-456-7890|item no. 415-555-0132|account number 1234567890|reference: 020 7946 0958|booking 0171 2345678|Bestellnummer 0171 2345678|commande 06 12 34 56 78|pedido 612 345 678|version 1.234.567.8901|build 2024.1234.5678|matrix 123 456 7890|vector 250 300 1000",
    "cards": "tracking 4510 2671 2457 7504|commit 4111111111111112|1748503543012|1234567890123456789|4006381333931|0000 0000 0000 0000|1234 5678 9012 3456|4111 1111 1111 111|1111 2222 3333 4444 5555 6666|9999999999999999|4.111111111111111|0.4111111111111111|2024 2025 2026 2027|8 6 7 5 3 0 9|1 1 2 3 5 8 13 21 34 55|3141 5926 5358 9793|IMEI 490154203237518|5555 6666 7777 8888",
    "ibans": "DE89370400440532013001 is none|GB29 NWBK 6016 1331 9268 18|AB12 3456 7890 1234|XX00 0000 0000 0000|IBAN is a number of up to 34 signs|FR1420041010050500013M02607|NL91ABNA0417164301|ISIN US0378331005|VIN WVWZZZ1JZXW000001|BIC COBADEFFXXX|AT611904300234573202",
    "ids": "part AB123456C of the engine|12345678A is no DNI|44051401358|111.444.777-36|11010519491231002Y|2341 2341 2347|811218-9877|131052-308U|S1234567A|A123456(4)|10000000147|12.345.678-6|112-233-445 96|RSSMRA85T10A562T|order 736028/5163|2024-01-31|ABC-1234-XY|A1234567|B737-800|iPhone12|H2O and CO2|MP3 and MP4|ISO 9001:2015|RFC 2119|§ 823 BGB|2026/01/31|1234567|12345678"
    "|SKU 811218-9876|invoice 44051401359|C3PO and R2D2|AK-47|10x20x30|1.234.567,89|1 234 567.89|ISBN 3-16-148410-X|ISSN 2049-3630|EIN MIETER 12-3456|my passport is lost|passport office at 10 Main Street|the routing table has 12 entries|NHS staff of 1400|PAN and tilt|sin 30 and cos 60|tan 45|nip 5 of it",
    "macs": "12-34-56-78-90-12|12:30:45|00:00:00:00:00:00|ff:ff:ff:ff:ff:ff|aa:bb:cc|SHA1 aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd|1a2b.3c4d|2024-01-31-10-20-30|de:ad:be|a:b:c:d:e:f|01-02-03-04-05-06",
    "wallets": "0xdeadbeef|0x7fffffffffffffff|tx 0x88df016429689c079f3b2f6ad39fa052532c56795b733da78a91ebe6a713944b|1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb|bc1 is how they begin|rabindranathtagoreinternational|Donaudampfschifffahrtsgesellschaft|MississippiRiverBoatCompanyInc|3DModelViewerControllerFactory"
    "|DataSourceTransactionManagerBuilder|0x0000000000000000000000000000000000000000|LongIdentifierWithManyWordsInside|TestClassForTheBusinessLogicLayer",
    "urls": "http://localhost:8080/index.html|https://127.0.0.1:3000|http:// is a scheme|www. stands for web|file:///etc/hosts|README.md|index.html|e.g. this|and/or|node.js|std::string|C:\\Users\\me",
}  # fmt: skip


def lookalikes() -> Iterator[tuple[str, str]]:
    """(kind, what only looks like one)."""
    yield from ((kind, row) for kind, rows in LIKE.items() for row in rows.split("|"))
