# A resumable session with Mojolicious. Run: perl mojolicious.pl "ws://127.0.0.1:8000/ws?id=ada"
#
# A refused dial is a transaction that is no WebSocket: its response has status, headers and body.
use v5.32;
use warnings;
use Mojo::UserAgent;
use Mojo::IOLoop;
use List::Util qw(max min);

$| = 1;
my ($url) = @ARGV;
my %over = map { $_ => 1 } 1000, 4100, 4101, 4403, 4409;
my ($resume, $pause) = ('', 0.25);
my $agent = Mojo::UserAgent->new(inactivity_timeout => 0);

sub stop { say "verdict $_[0]"; Mojo::IOLoop->stop }

sub again {
    my $wait = max($pause * (0.5 + rand), $_[0] // 0);
    $pause = min($pause * 2, 30);
    printf "wait %.1f\n", $wait;
    Mojo::IOLoop->timer($wait => \&dial);
}

sub dial {
    $agent->websocket($url . $resume => sub {
        my ($agent, $tx) = @_;
        unless ($tx->is_websocket) {
            my $status = $tx->res->code // 0;
            return stop($status) if $status >= 400 && $status < 500 && $status != 429;
            return again($tx->res->headers->header('Retry-After'));
        }
        say 'open';
        ($resume, $pause) = ('&resume=true', 0.25);
        $tx->on(json => sub { say "message $_[1]{payload}" });
        $tx->on(finish => sub { $over{$_[1] // 1006} ? stop($_[1]) : again() });
        $tx->send({json => {event => 'say', payload => 'hello'}});
    });
}

dial();
Mojo::IOLoop->start;
